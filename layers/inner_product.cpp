#include "layers/inner_product.hpp"

#include <cmath>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using ArgumentList = std::vector<onednn::Operation::Argument>;

}  // namespace

void LinearGeometry::describe(Keys& keys) {
  keys.renamed("channels", "features");
  keys.required("features", features, at_least(std::int64_t{1}), "number of outputs (once `channels`)");
  keys.optional("bias", bias, "add a learned number to each output");
  keys.optional("init_scale", init_scale, at_least(0.0), "what initial weights are multiplied by");
}

void LinearGeometry::declare(const Shape& src, Declarations& declare) const {
  if (src.rank() != 2 && src.rank() != 4)
    throw ShapeError("", concat("expected N x I or an image N x C x H x W, got ", to_string(src)));
  declare.dst = {src[kN], features};
  declare.dst_type = DataType::kF32;
  declare.parameter("weight", {features, inputs(src)}, "weights",
                    Init::normal(init_scale * Init::kaiming(inputs(src)).value));
  if (bias) {
    declare.parameter("bias", {features}, "bias", Init::uniform(1.0 / std::sqrt(static_cast<double>(inputs(src)))));
  }
}

void LinearGeometry::describe(Attributes& attributes) const {
  attributes.set("features", features);
  attributes.set("bias", bias);
}

struct InnerProduct::Operands {
  std::vector<std::int64_t> dims;  ///< of the weights
  dnnl::memory::desc src, weights, bias, dst;
};

InnerProduct::InnerProduct(const LinearGeometry& geometry, const OpRequest& request, bool own_source, OpNeeds& needs,
                           const Frames& frames)
    : geometry_(geometry), convert_(request.src[0].type != DataType::kF32) {
  src_.desc = request.src[0];
  src_.desc.type = DataType::kF32;
  Scratch scratch = frames.forward;
  if (convert_ || own_source) src_ = scratch.book(src_.desc);
  Operands o;
  o.dims = src_.desc.shape.dims();
  o.dims[0] = geometry.features;
  o.src = onednn::desc(src_.desc);
  o.dst = onednn::desc(request.dst);
  o.weights = onednn::any(o.dims, DataType::kF32);
  o.bias = dnnl::memory::desc({geometry.features}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  const auto prop = request.training() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const auto forward =
      onednn::make<dnnl::inner_product_forward>(onednn::attributes(), prop, o.src, o.weights, o.bias, o.dst);
  forward_ = onednn::Operation(forward, dnnl::inner_product_forward(forward),
                               ArgumentList{{DNNL_ARG_SRC, o.src},
                                            {DNNL_ARG_WEIGHTS, forward.weights_desc()},
                                            {DNNL_ARG_BIAS, o.bias},
                                            {DNNL_ARG_DST, o.dst}});
  pack_ = onednn::reorder(onednn::plain(o.dims), forward.weights_desc());
  needs.kernel = onednn::kernel_name(forward);
  packed_ = needs.slots.kept<std::byte>(onednn::bytes(forward.weights_desc()));
  zeros_ = needs.slots.kept<float>(geometry.features);  // instead of a bias
  forward_.book(scratch);
  pack_.book(frames.refresh);
  if (request.training()) set_up_backward(o, forward, request.needs_diff_src[0], needs, frames);
}

void InnerProduct::set_up_backward(const Operands& o, const dnnl::inner_product_forward::primitive_desc& forward,
                                   bool needs_diff_src, OpNeeds& needs, Frames frames) {
  needs.backward_uses_src = true;
  const auto bw = onednn::make_backward<dnnl::inner_product_backward_weights>(onednn::attributes(), forward, o.src,
                                                                              o.weights, o.bias, o.dst);
  backward_weights_ = onednn::Operation(bw, dnnl::inner_product_backward_weights(bw),
                                        ArgumentList{{DNNL_ARG_SRC, o.src},
                                                     {DNNL_ARG_DIFF_DST, o.dst},
                                                     {DNNL_ARG_DIFF_WEIGHTS, bw.diff_weights_desc()},
                                                     {DNNL_ARG_DIFF_BIAS, o.bias}});
  unpack_ = onednn::reorder(bw.diff_weights_desc(), onednn::plain(o.dims), true);
  backward_src_.desc = diff_src_.desc = src_.desc;
  if (convert_) backward_src_ = frames.backward.book(src_.desc);
  Scratch scratch = frames.backward;
  diff_weights_ = scratch.book<std::byte>(onednn::bytes(bw.diff_weights_desc()));
  diff_bias_ = scratch.book<float>(geometry_.features);
  backward_weights_.book(scratch);
  unpack_.book(scratch);
  if (!needs_diff_src) return;
  const auto bd =
      onednn::make_backward<dnnl::inner_product_backward_data>(onednn::attributes(), forward, o.src, o.weights, o.dst);
  backward_data_ = onednn::Operation(
      bd, dnnl::inner_product_backward_data(bd),
      ArgumentList{{DNNL_ARG_DIFF_DST, o.dst}, {DNNL_ARG_WEIGHTS, bd.weights_desc()}, {DNNL_ARG_DIFF_SRC, o.src}});
  pack_data_ = onednn::reorder(onednn::plain(o.dims), bd.weights_desc());
  packed_data_ = needs.slots.kept<std::byte>(onednn::bytes(bd.weights_desc()));
  backward_data_.book(frames.backward);
  pack_data_.book(frames.refresh);
}

const float* InnerProduct::converted(const Context& c, const BookedTensor& slot) const {
  if (!convert_) return c.src[0].as<const float>();
  const Tensor floats = c.memory[slot];
  copy_activation(c.src[0], floats);
  return floats.as<const float>();
}

void InnerProduct::forward(const Context& c, const float* source, const float* bias) {
  forward_.run(c.memory, {source, c.memory[packed_], bias != nullptr ? bias : c.memory[zeros_], c.dst.data});
}

void InnerProduct::backward_weights(const Context& c, const float* source, float* diff_weights) {
  void* const diff = c.memory[diff_weights_];
  float* const diff_bias = c.memory[diff_bias_];
  backward_weights_.run(c.memory, {source, c.diff_dst[0].data, diff, diff_bias});
  unpack_.run(c.memory, {diff, diff_weights});
  for (std::int64_t o = 0; geometry_.bias && o < geometry_.features; ++o) c.diff_param[1][o] += diff_bias[o];
}

const Tensor& InnerProduct::backward_data(const Context& c) {
  diff_src_.data = convert_ ? c.memory[backward_src_.memory] : c.diff_src[0].data;
  backward_data_.run(c.memory, {c.diff_dst[0].data, c.memory[packed_data_], diff_src_.data});
  return diff_src_;
}

void InnerProduct::convert_diff_src(const Context& c, const Tensor& diff_src) const {
  if (convert_) copy_activation(diff_src, c.diff_src[0]);
}

}  // namespace sluice
