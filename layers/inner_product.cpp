#include "layers/inner_product.hpp"

#include <cmath>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using ArgumentList = std::vector<onednn::Operation::Argument>;

}  // namespace

void LinearGeometry::describe(Keys& keys) {
  keys.required("channels", channels, at_least(std::int64_t{1}), "number of outputs");
  keys.optional("bias", bias, "add a learned number to each output");
}

void LinearGeometry::declare(const Shape& src, Declarations& declare) const {
  if (src.rank() != 2 && src.rank() != 4)
    throw ShapeError("", concat("expected N x I or an image N x C x H x W, got ", to_string(src)));
  declare.dst = {src[kN], channels};
  declare.dst_type = DataType::kF32;
  declare.parameter("weight", {channels, inputs(src)}, "weights", Init::kaiming(inputs(src)));
  if (bias) {
    declare.parameter("bias", {channels}, "bias", Init::uniform(1.0 / std::sqrt(static_cast<double>(inputs(src)))));
  }
}

InnerProduct::InnerProduct(const LinearGeometry& geometry, Setup& setup, bool own_source)
    : geometry_(geometry), convert_(setup.src[0].type != DataType::kF32), src_(setup.src[0]) {
  src_.type = DataType::kF32;
  std::vector<std::int64_t> dims = src_.shape.dims();
  dims[0] = geometry.channels;
  const auto src = onednn::desc(src_), dst = onednn::desc(setup.dst), weights = onednn::any(dims, DataType::kF32);
  const auto bias = dnnl::memory::desc({geometry.channels}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  const bool training = setup.mode == Mode::kTraining;
  const auto prop = training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const auto forward = onednn::make<dnnl::inner_product_forward>(onednn::attributes(), prop, src, weights, bias, dst);
  forward_ = onednn::Operation(
      forward, dnnl::inner_product_forward(forward),
      ArgumentList{
          {DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, forward.weights_desc()}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, dst}});
  pack_ = onednn::reorder(onednn::plain(dims), forward.weights_desc());
  setup.kernel = onednn::kernel_name(forward);
  packed_ = static_cast<std::size_t>(setup.request_kept(onednn::bytes(forward.weights_desc())));
  zeros_ = static_cast<std::size_t>(setup.request_kept(geometry.channels * 4));  // instead of a bias
  source_bytes_ = convert_ || own_source ? align_up(src_.bytes()) : 0;
  request_scratch(setup, forward_.scratch_bytes());
  setup.request_scratch(pack_.scratch_bytes());
  if (training) set_up_backward(setup, forward, src, weights, bias, dst, dims);
}

void InnerProduct::set_up_backward(Setup& setup, const dnnl::inner_product_forward::primitive_desc& forward,
                                   const dnnl::memory::desc& src, const dnnl::memory::desc& weights,
                                   const dnnl::memory::desc& bias, const dnnl::memory::desc& dst,
                                   const std::vector<std::int64_t>& dims) {
  setup.backward_uses_src = true;
  const auto bw = onednn::make_backward<dnnl::inner_product_backward_weights>(onednn::attributes(), forward, src,
                                                                              weights, bias, dst);
  backward_weights_ = onednn::Operation(bw, dnnl::inner_product_backward_weights(bw),
                                        ArgumentList{{DNNL_ARG_SRC, src},
                                                     {DNNL_ARG_DIFF_DST, dst},
                                                     {DNNL_ARG_DIFF_WEIGHTS, bw.diff_weights_desc()},
                                                     {DNNL_ARG_DIFF_BIAS, bias}});
  unpack_ = onednn::reorder(bw.diff_weights_desc(), onednn::plain(dims), true);
  diff_weights_bytes_ = onednn::bytes(bw.diff_weights_desc());
  request_scratch(setup, align_up(diff_weights_bytes_) + align_up(geometry_.channels * 4) +
                             std::max(backward_weights_.scratch_bytes(), unpack_.scratch_bytes()));
  if (!setup.needs_diff_src[0]) return;
  diff_src_.desc = src_;
  const auto bd =
      onednn::make_backward<dnnl::inner_product_backward_data>(onednn::attributes(), forward, src, weights, dst);
  backward_data_ = onednn::Operation(
      bd, dnnl::inner_product_backward_data(bd),
      ArgumentList{{DNNL_ARG_DIFF_DST, dst}, {DNNL_ARG_WEIGHTS, bd.weights_desc()}, {DNNL_ARG_DIFF_SRC, src}});
  pack_data_ = onednn::reorder(onednn::plain(dims), bd.weights_desc());
  packed_data_ = static_cast<std::size_t>(setup.request_kept(onednn::bytes(bd.weights_desc())));
  request_scratch(setup, backward_data_.scratch_bytes());
  setup.request_scratch(pack_data_.scratch_bytes());
}

void InnerProduct::request_scratch(Setup& setup, std::int64_t bytes) {
  scratch_bytes_ = std::max(scratch_bytes_, source_bytes_ + align_up(bytes));
  setup.request_scratch(scratch_bytes_);
}

void InnerProduct::pack_forward(Context& c, const float* weights, void* scratch) {
  pack_.run({weights, c.kept[packed_]}, scratch);
}

void InnerProduct::pack_backward(Context& c, const float* weights, void* scratch) {
  if (needs_diff_src()) pack_data_.run({weights, c.kept[packed_data_]}, scratch);
}

const float* InnerProduct::converted_source(const Context& c) const {
  if (!convert_) return c.src[0].as<const float>();
  copy_activation(c.src[0], {src_, c.scratch});
  return static_cast<const float*>(c.scratch);
}

void InnerProduct::forward(Context& c, const float* source, const float* bias) {
  forward_.run({source, c.kept[packed_], bias != nullptr ? bias : c.kept[zeros_], c.dst.data}, rest(c));
}

void InnerProduct::backward_weights(Context& c, const float* source, float* diff_weights) {
  char* const diff = static_cast<char*>(rest(c));
  char* const diff_bias = diff + align_up(diff_weights_bytes_);
  char* const scratch = diff_bias + align_up(geometry_.channels * 4);
  backward_weights_.run({source, c.diff_dst[0].data, diff, diff_bias}, scratch);
  unpack_.run({diff, diff_weights}, scratch);
  for (std::int64_t o = 0; geometry_.bias && o < geometry_.channels; ++o)
    c.diff_param[1][o] += reinterpret_cast<const float*>(diff_bias)[o];
}

const Tensor& InnerProduct::backward_data(Context& c) {
  diff_src_.data = convert_ ? c.scratch : c.diff_src[0].data;
  backward_data_.run({c.diff_dst[0].data, c.kept[packed_data_], diff_src_.data}, rest(c));
  return diff_src_;
}

void InnerProduct::convert_diff_src(Context& c) const {
  if (convert_) copy_activation(diff_src_, c.diff_src[0]);
}

}  // namespace sluice
