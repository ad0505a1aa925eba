// Dense convolution by oneDNN; in inference it takes batch normalisation, addition and clipping along.
#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "core/base/cpu.hpp"
#include "layers/byte_convolution.hpp"
#include "layers/byte_edges.hpp"
#include "layers/convolution.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class Conv : public Layer {
 public:
  explicit Conv(Keys& keys) {
    geometry_.describe(keys);
    keys.optional("bias", bias_, "add a learned number to each output channel");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    const Shape weights = geometry_.weights_shape(src[0]);
    const std::int64_t fan_in = weights[1] * weights[2] * weights[3];
    declare.parameter("weight", weights, "weights", Init::kaiming(fan_in));
    if (bias_)
      declare.parameter("bias", {geometry_.channels}, "bias",
                        Init::uniform(1.0 / std::sqrt(static_cast<double>(fan_in))));
    const std::int64_t macs = geometry_.macs(src[0]);
    declare.costs.push_back({macs});
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

  /// Without VNNI our kernels of floats are as fast, and there are none of bytes for groups.
  ByteWish byte_wish(bool /*may_skip*/) const override {
    return cpu_has_vnni() && geometry_.groups == 1 ? ByteWish::kMultiplies : ByteWish::kTakes;
  }

  void setup(Setup& setup) override {
    edges_ = ByteEdges(setup);
    ConvProblem problem{geometry_, edges_.src(), edges_.dst(), setup.mode, bias_, setup.allow_winograd, setup.post_ops};
    for (const PostOp& op : setup.post_ops) folded_ = folded_ || op.kind == PostOp::Kind::kAffine;
    problem.bias = bias_ || folded_;
    forward_ = ConvForward(problem);
    setup.kernel = forward_.kernel();
    keep(setup, forward_.weights());
    setup.request_scratch(edges_.scratch_bytes() + forward_.scratch_bytes());
    if (folded_) {
      setup.request_kept(geometry_.channels * 4);
      setup.request_scratch(align_up(weight_count(setup) * 4) + forward_.weights().scratch_bytes());
    }
    offer_bytes(setup);
    if (setup.mode == Mode::kTraining) set_up_backward(setup, problem);
    weight_count_ = weight_count(setup);
  }

  void refresh(Context& c) override {
    if (!bytes_.empty()) bytes_.refresh(c, c.param[0], bias_ ? c.param[1] : nullptr);
    if (folded_) {
      forward_.weights().pack(fold(c), c.kept[0], static_cast<char*>(c.scratch) + align_up(weight_count_ * 4));
      return;
    }
    forward_.weights().pack(c.param[0], c.kept[0], c.scratch);
    if (needs_diff_src_) backward_data_.weights().pack(c.param[0], c.kept[1], c.scratch);
  }

  void forward(Context& c) override {
    if (!bytes_.empty() && c.alternative == kBytes) return bytes_.forward(c);
    const float* bias = folded_ ? static_cast<const float*>(c.kept[1]) : (bias_ ? c.param[1] : nullptr);
    edges_.run(c, [&](const void* src, void* dst, void* scratch) { forward_.run(src, c.kept[0], bias, dst, scratch); });
  }

  void backward(Context& c) override {
    backward_weights_.run(c.src[0].data, c.diff_dst[0].data, c.diff_param[0], bias_ ? c.diff_param[1] : nullptr,
                          c.scratch);
    if (needs_diff_src_) backward_data_.run(c.diff_dst[0].data, c.kept[1], c.diff_src[0].data, c.scratch);
  }

 private:
  static constexpr int kBytes = 1;  ///< among the alternatives, behind fp32

  void offer_bytes(Setup& setup) {
    bytes_ = ByteConvolution(setup, geometry_);
    if (bytes_.empty()) return;
    setup.kernel += " " + bytes_.kernel();
    setup.alternatives = {"fp32", "int8"};
    setup.alternative = kBytes;
  }

  static void keep(Setup& setup, PackedWeights& weights) {
    setup.request_kept(weights.bytes());
    setup.request_scratch(weights.scratch_bytes());
  }

  std::int64_t weight_count(const Setup& setup) const { return geometry_.weights_shape(setup.src[0].shape).count(); }

  void set_up_backward(Setup& setup, const ConvProblem& problem) {
    setup.backward_uses_src = true;
    backward_weights_ = ConvBackwardWeights(problem);
    setup.kernel += " " + backward_weights_.kernel();
    setup.request_scratch(backward_weights_.scratch_bytes());
    needs_diff_src_ = setup.needs_diff_src[0];
    if (!needs_diff_src_) return;
    backward_data_ = ConvBackwardData(problem);
    setup.kernel += " " + backward_data_.kernel();
    setup.request_scratch(backward_data_.scratch_bytes());
    keep(setup, backward_data_.weights());
  }

  /// weights[o] * scale[o] in the scratch memory; the bias that goes with them is kept.
  const float* fold(Context& c) const {
    float* const bias = static_cast<float*>(c.kept[1]);
    float* const scaled = static_cast<float*>(c.scratch);
    const std::int64_t per_channel = weight_count_ / geometry_.channels;
    for (std::int64_t o = 0; o < geometry_.channels; ++o) {
      bias[o] = c.affine_shift[o] + (bias_ ? c.param[1][o] * c.affine_scale[o] : 0.0F);
      for (std::int64_t i = 0; i < per_channel; ++i)
        scaled[o * per_channel + i] = c.param[0][o * per_channel + i] * c.affine_scale[o];
    }
    return scaled;
  }

  ConvGeometry geometry_;
  bool bias_ = false;
  bool folded_ = false;
  bool needs_diff_src_ = false;
  std::int64_t weight_count_ = 0;
  ByteEdges edges_;  ///< around forward_
  ConvForward forward_;
  ByteConvolution bytes_;  ///< of inference in bytes, unless empty
  ConvBackwardData backward_data_;
  ConvBackwardWeights backward_weights_;
};

}  // namespace

std::unique_ptr<Layer> make_conv(Keys& keys) {
  return std::make_unique<Conv>(keys);
}

}  // namespace sluice
