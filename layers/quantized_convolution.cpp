#include "layers/quantized_convolution.hpp"

#include <algorithm>

#include "core/base/buffer.hpp"

namespace sluice {
namespace {

std::size_t keep(Setup& setup, std::int64_t bytes) {
  return static_cast<std::size_t>(setup.request_kept(bytes));
}

TensorDesc parts_of(TensorDesc desc, std::int64_t parts) {
  desc.shape = {parts * desc.shape[kN], desc.shape[kC], desc.shape[kH], desc.shape[kW]};
  return desc;
}

float* floats(void* memory) {
  return static_cast<float*>(memory);
}

}  // namespace

void QuantizedConvolution::declare(const ConvGeometry& geometry, const Shape& src, Declarations& declare) {
  declare.dst = geometry.dst_shape(src);
  const Shape weights = geometry.weights_shape(src);
  declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
  declare.buffer("src_scale", {1}, 0.0F);
}

QuantizedConvolution::QuantizedConvolution(const ConvGeometry& geometry, const QuantizationOptions& options,
                                           Setup& setup, bool bias, std::int64_t parts)
    : options_(options),
      operand_(parts_of(setup.src[0], parts)),
      products_(parts_of(setup.dst, parts)),
      channels_(geometry.channels),
      bias_(bias) {
  const Shape shape = geometry.weights_shape(operand_.shape);
  const std::int64_t terms = shape[1] * shape[2] * shape[3];
  weights_ = QuantizedWeights(options, shape.count(), terms);
  operand_.type = options.operand_type(operand_.type, terms);
  for (const PostOp& op : setup.post_ops) folded_ = folded_ || op.kind == PostOp::Kind::kAffine;
  shifted_ = bias_ || folded_;
  ConvProblem problem;
  problem.geometry = geometry;
  problem.src = operand_;
  problem.dst = products_;
  problem.mode = setup.mode;
  problem.allow_winograd = false;  // sums of whole numbers are exact, those of its transforms are not
  problem.post_ops = setup.post_ops;
  problem.scaled = true;
  problem.shifted = shifted_;
  forward_ = ConvForward(problem);
  setup.kernel = forward_.kernel();
  packed_ = keep(setup, forward_.weights().bytes());
  scale_ = keep(setup, channels_ * 4);
  shift_ = keep(setup, channels_ * 4);
  product_scale_ = keep(setup, channels_ * 4);
  std::int64_t packing = forward_.weights().scratch_bytes();
  if (setup.mode == Mode::kTraining) {
    problem.allow_winograd = setup.allow_winograd;
    set_up_backward(setup, problem, parts);
    if (needs_diff_src_) packing = std::max(packing, backward_data_.weights().scratch_bytes());
  }
  refresh_scratch_ = weights_.bytes() + packing;
}

void QuantizedConvolution::set_up_backward(Setup& setup, const ConvProblem& forward, std::int64_t parts) {
  ConvProblem problem = forward;
  problem.src = parts_of(setup.src[0], parts);
  problem.bias = bias_;
  problem.scaled = problem.shifted = false;
  problem.post_ops.clear();
  backward_weights_ = ConvBackwardWeights(problem);
  setup.kernel += " " + backward_weights_.kernel();
  widened_bytes_ = operand_.type == problem.src.type ? 0 : align_up(problem.src.bytes());
  backward_scratch_ = weights_.bytes() + widened_bytes_ + backward_weights_.scratch_bytes();
  needs_diff_src_ = setup.needs_diff_src[0];
  if (!needs_diff_src_) return;
  problem.src = setup.src[0];
  problem.dst = setup.dst;
  problem.bias = false;
  backward_data_ = ConvBackwardData(problem);
  setup.kernel += " " + backward_data_.kernel();
  backward_scratch_ = std::max(backward_scratch_, backward_data_.scratch_bytes());
  packed_data_ = keep(setup, backward_data_.weights().bytes());
}

void QuantizedConvolution::refresh(Context& c) {
  float* const levels = floats(c.scratch);
  void* const rest = static_cast<char*>(c.scratch) + weights_.bytes();
  const float unit = weights_.quantize(c.param[0], levels);
  forward_.weights().pack(levels, c.kept[packed_], rest);
  set_epilogue(c, unit);
  if (!needs_diff_src_) return;
  weights_.restore(unit, levels);
  backward_data_.weights().pack(levels, c.kept[packed_data_], rest);
}

void QuantizedConvolution::set_epilogue(Context& c, float weight_unit) const {
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float scale = folded_ ? c.affine_scale[o] : 1.0F;
    floats(c.kept[scale_])[o] = weight_unit * scale;
    floats(c.kept[shift_])[o] = (folded_ ? c.affine_shift[o] : 0.0F) + (bias_ ? c.param[1][o] * scale : 0.0F);
  }
}

void QuantizedConvolution::forward(Context& c, const void* operand, float unit, void* products, void* scratch) {
  float* const scale = floats(c.kept[product_scale_]);
  for (std::int64_t o = 0; o < channels_; ++o) scale[o] = unit * floats(c.kept[scale_])[o];
  forward_.run(operand, c.kept[packed_], Epilogue{scale, floats(c.kept[shift_]), c.addend.data}, products, scratch);
}

void QuantizedConvolution::backward_weights(Context& c, const void* operand, float unit, const void* diff_products,
                                            void* scratch) {
  float* const diff = floats(scratch);
  char* const widened = static_cast<char*>(scratch) + weights_.bytes();
  if (widened_bytes_ > 0) {
    widen_levels({operand_, const_cast<void*>(operand)}, floats(widened));
    operand = widened;
  }
  std::fill_n(diff, weights_.bytes() / 4, 0.0F);
  backward_weights_.run(operand, diff_products, diff, bias_ ? c.diff_param[1] : nullptr, widened + widened_bytes_);
  weights_.add_gradient(c.param[0], diff, unit, c.diff_param[0]);
}

void QuantizedConvolution::backward_data(Context& c, const void* operand, const void* diff_products, void* scratch) {
  if (!needs_diff_src_) return;
  backward_data_.run(diff_products, c.kept[packed_data_], c.diff_src[0].data, scratch);
  if (!options_.activations().has_scale()) return;
  mask_gradient({operand_, const_cast<void*>(operand)}, c.diff_src[0]);
}

}  // namespace sluice
