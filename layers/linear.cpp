// Fully connected layer by oneDNN, always in fp32: it is small, and logits deserve the precision.
#include <cmath>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "core/graph/onednn.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// dst = src W^T + bias. src: N x I, or N x C x H x W taken as I = C H W in that order; W: O x I; dst: N x O.
class Linear : public Layer {
 public:
  explicit Linear(Keys& keys) {
    keys.required("channels", channels_, at_least(std::int64_t{1}), "number of outputs");
    keys.optional("bias", bias_, "add a learned number to each output");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    if (src[0].rank() != 2 && src[0].rank() != 4) {
      throw ShapeError("", concat("expected N x I or an image N x C x H x W, got ", to_string(src[0])));
    }
    const std::int64_t inputs = src[0].count() / src[0][kN];
    declare.dst = {src[0][kN], channels_};
    declare.dst_type = DataType::kF32;
    declare.parameter("weight", {channels_, inputs}, "weights", Init::kaiming(inputs));
    if (bias_)
      declare.parameter("bias", {channels_}, "bias", Init::uniform(1.0 / std::sqrt(static_cast<double>(inputs))));
    declare.costs.push_back({channels_ * inputs});
  }

  void setup(Setup& setup) override {
    convert_ = setup.src[0].type != DataType::kF32;
    src_ = setup.src[0];
    src_.type = DataType::kF32;
    std::vector<std::int64_t> dims = src_.shape.dims();
    dims[0] = channels_;
    const auto src = onednn::desc(src_), dst = onednn::desc(setup.dst), weights = onednn::any(dims, DataType::kF32);
    const auto bias = dnnl::memory::desc({channels_}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
    const bool training = setup.mode == Mode::kTraining;
    const auto prop = training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto forward = onednn::make<dnnl::inner_product_forward>(onednn::attributes(), prop, src, weights, bias, dst);
    using Arguments = std::vector<onednn::Operation::Argument>;
    forward_ = onednn::Operation(forward, dnnl::inner_product_forward(forward),
                                 Arguments{{DNNL_ARG_SRC, src},
                                           {DNNL_ARG_WEIGHTS, forward.weights_desc()},
                                           {DNNL_ARG_BIAS, bias},
                                           {DNNL_ARG_DST, dst}});
    pack_ = onednn::reorder(onednn::plain(dims), forward.weights_desc());
    setup.kernel = onednn::kernel_name(forward);
    setup.request_kept(onednn::bytes(forward.weights_desc()));
    setup.request_kept(channels_ * 4);  // a bias of zeros where there is none
    converted_bytes_ = convert_ ? align_up(src_.bytes()) : 0;
    request_scratch(setup, forward_);
    request_scratch(setup, pack_);
    if (training) set_up_backward(setup, forward, src, weights, bias, dst, dims);
  }

  void refresh(Context& c) override {
    pack_.run({c.param[0], c.kept[0]}, c.scratch);
    if (!pack_data_.empty()) pack_data_.run({c.param[0], c.kept[2]}, c.scratch);
  }

  void forward(Context& c) override {
    const float* bias = bias_ ? c.param[1] : static_cast<const float*>(c.kept[1]);
    forward_.run({source(c), c.kept[0], bias, c.dst.data}, rest(c));
  }

  void backward(Context& c) override {
    char* const diff_weights = static_cast<char*>(c.scratch) + converted_bytes_;
    char* const diff_bias = diff_weights + align_up(diff_weights_bytes_);
    char* const scratch = diff_bias + align_up(channels_ * 4);
    backward_weights_.run({source(c), c.diff_dst[0].data, diff_weights, diff_bias}, scratch);
    unpack_.run({diff_weights, c.diff_param[0]}, scratch);
    for (std::int64_t o = 0; bias_ && o < channels_; ++o)
      c.diff_param[1][o] += reinterpret_cast<const float*>(diff_bias)[o];
    if (backward_data_.empty()) return;
    void* const diff_src = convert_ ? c.scratch : c.diff_src[0].data;
    backward_data_.run({c.diff_dst[0].data, c.kept[2], diff_src}, rest(c));
    if (convert_) copy_activation({src_, diff_src}, c.diff_src[0]);
  }

 private:
  void request_scratch(Setup& setup, const onednn::Operation& operation) const {
    setup.request_scratch(converted_bytes_ + operation.scratch_bytes());
  }

  void* rest(Context& c) const { return static_cast<char*>(c.scratch) + converted_bytes_; }

  /// The source in fp32, converted into the scratch memory where it is not.
  const void* source(Context& c) const {
    if (!convert_) return c.src[0].data;
    copy_activation(c.src[0], {src_, c.scratch});
    return c.scratch;
  }

  void set_up_backward(Setup& setup, const dnnl::inner_product_forward::primitive_desc& forward,
                       const dnnl::memory::desc& src, const dnnl::memory::desc& weights, const dnnl::memory::desc& bias,
                       const dnnl::memory::desc& dst, const std::vector<std::int64_t>& dims) {
    using Arguments = std::vector<onednn::Operation::Argument>;
    setup.backward_uses_src = true;
    const auto bw = onednn::make_backward<dnnl::inner_product_backward_weights>(onednn::attributes(), forward, src,
                                                                                weights, bias, dst);
    backward_weights_ = onednn::Operation(bw, dnnl::inner_product_backward_weights(bw),
                                          Arguments{{DNNL_ARG_SRC, src},
                                                    {DNNL_ARG_DIFF_DST, dst},
                                                    {DNNL_ARG_DIFF_WEIGHTS, bw.diff_weights_desc()},
                                                    {DNNL_ARG_DIFF_BIAS, bias}});
    unpack_ = onednn::reorder(bw.diff_weights_desc(), onednn::plain(dims), true);
    diff_weights_bytes_ = onednn::bytes(bw.diff_weights_desc());
    setup.request_scratch(converted_bytes_ + align_up(diff_weights_bytes_) + align_up(channels_ * 4) +
                          std::max(backward_weights_.scratch_bytes(), unpack_.scratch_bytes()));
    if (!setup.needs_diff_src[0]) return;
    const auto bd =
        onednn::make_backward<dnnl::inner_product_backward_data>(onednn::attributes(), forward, src, weights, dst);
    backward_data_ = onednn::Operation(
        bd, dnnl::inner_product_backward_data(bd),
        Arguments{{DNNL_ARG_DIFF_DST, dst}, {DNNL_ARG_WEIGHTS, bd.weights_desc()}, {DNNL_ARG_DIFF_SRC, src}});
    pack_data_ = onednn::reorder(onednn::plain(dims), bd.weights_desc());
    setup.request_kept(onednn::bytes(bd.weights_desc()));
    request_scratch(setup, backward_data_);
    request_scratch(setup, pack_data_);
  }

  std::int64_t channels_ = 0;
  bool bias_ = true;
  bool convert_ = false;
  TensorDesc src_;
  std::int64_t converted_bytes_ = 0, diff_weights_bytes_ = 0;
  onednn::Operation forward_, pack_, backward_weights_, unpack_, backward_data_, pack_data_;
};

}  // namespace

std::unique_ptr<Layer> make_linear(Keys& keys) {
  return std::make_unique<Linear>(keys);
}

}  // namespace sluice
