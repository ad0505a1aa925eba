#include "layers/quantized_convolution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice {
namespace {

TensorDesc parts_of(TensorDesc desc, std::int64_t parts) {
  desc.shape = {parts * desc.shape[kN], desc.shape[kC], desc.shape[kH], desc.shape[kW]};
  return desc;
}

/// W = 2 high + low, all between -127 and 127: the high parts of each output's filters, then the low ones.
void split_pairs(const float* levels, std::int64_t channels, std::int64_t terms, float* pairs) {
  for (std::int64_t o = 0; o < channels; ++o, levels += terms, pairs += 2 * terms) {
    for (std::int64_t i = 0; i < terms; ++i) {
      pairs[i] = std::trunc(levels[i] / 2);
      pairs[terms + i] = levels[i] - 2 * pairs[i];
    }
  }
}

/// Whether sums of int8 are those of fp32, and exact. Processors without VNNI add two products in 16 bits.
bool int8_is_exact(const QuantizationOptions& options, std::int64_t terms, bool pairs) {
  const std::int64_t most_weight = pairs ? 127 : options.weights().levels();
  const std::int64_t most_operand = (pairs ? 2 : 1) * options.activations().levels();
  return options.weights().levels() <= 255 && most_operand <= 255 && 2 * most_weight * most_operand < (1 << 15) &&
         options.has_exact_sums(terms);
}

/// Twice as many bytes are no faster than fp32 where channels are few (measured: 16; 1.5 times faster from 32 on).
constexpr std::int64_t kLeastPaired = 32;

}  // namespace

void QuantizedConvolution::declare(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src,
                                   Declarations& declare) {
  declare.dst = geometry.dst_shape(src);
  const Shape weights = geometry.weights_shape(src);
  declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
  options.declare_scale(declare);
}

QuantizedConvolution::QuantizedConvolution(const ConvGeometry& geometry, const QuantizationOptions& options,
                                           const OpRequest& request, bool bias, std::int64_t parts)
    : options_(options),
      operand_(parts_of(request.src[0], parts)),
      products_(parts_of(request.dst, parts)),
      channels_(geometry.channels),
      bias_(bias),
      folded_(request.has(PostOp::Kind::kAffine)),
      trains_(request.training()) {
  const Shape shape = geometry.weights_shape(operand_.shape);
  terms_ = shape[1] * shape[2] * shape[3];
  weights_ = QuantizedWeights(options, shape.count(), terms_);
  operand_.type = options.operand_type(operand_.type, terms_);
  view_.desc = operand_;
  shifted_ = bias_ || folded_;
  ConvProblem problem;
  problem.geometry = geometry;
  problem.src = operand_;
  problem.dst = products_;
  problem.mode = request.mode;
  problem.allow_winograd = false;  // sums of whole numbers are exact, those of its transforms are not
  problem.epilogue = Epilogue(request.post_ops);
  problem.scaled = true;
  problem.addend = request.addend;
  problem.shifted = shifted_;
  if (!multiply_floats(request, problem) && !multiply_levels(request, problem) && !multiply_int8(request, problem)) {
    forward_ = ConvForward(problem);
  }
  if (!trains_) return;
  problem.allow_winograd = request.allow_winograd;
  set_up_backward(request, problem, parts);
}

void QuantizedConvolution::book(OpNeeds& needs, Frames frames) {
  levels_ = frames.refresh.book<float>(weights_.count());
  pair_levels_ = frames.refresh.book<float>(pairs_ ? 2 * weights_.count() : 0);
  if (multiplies_int8_) narrowed_ = frames.forward.book(int8_operand_);
  needs.kernel = level_forward_ ? level_forward_->kernel() : forward_.kernel();
  if (level_forward_) {
    level_forward_->book(needs.slots, frames.forward);
  } else {
    forward_.book(needs.slots, frames.refresh, frames.forward);
  }
  const std::int64_t padded = level_forward_ ? level_forward_->padded() : channels_;
  for (Slot<float>* slot : {&scale_, &shift_, &product_scale_}) *slot = needs.slots.kept<float>(padded);
  if (!trains_) return;
  needs.kernel += " " + backward_weights_.kernel();
  if (needs_diff_src_) {
    needs.kernel += " " + backward_data_.kernel();
    backward_data_.book(needs.slots, frames.refresh, frames.backward);
  }
  diff_weights_ = frames.backward.book<float>(weights_.count());
  wide_ = frames.backward.book<float>(widened_);
  backward_weights_.book(frames.backward);
}

/// Makes the forward product that of floating-point numbers, which any algorithm rounds, in training, where nothing is
/// done to it on the way.
bool QuantizedConvolution::multiply_floats(const OpRequest& request, ConvProblem problem) {
  const bool plain = operand_.type == DataType::kF32 && products_.type == DataType::kF32;
  if (!plain || !trains_ || !request.post_ops.empty()) return false;
  if (!options_.weights().is_identity() || !options_.fixed_unit()) return false;
  problem.allow_winograd = request.allow_winograd;
  problem.bias = bias_;
  problem.scaled = problem.shifted = false;
  forward_ = ConvForward(problem);
  floats_ = true;
  return true;
}

/// Makes the forward product one by Winograd's algorithm, where that gives the same sums. Bytes by VNNI are faster.
bool QuantizedConvolution::multiply_levels(const OpRequest& request, const ConvProblem& problem) {
  const bool plain = operand_.type == DataType::kF32 && products_.type == DataType::kF32;
  if (!plain || !options_.has_exact_sums(terms_)) return false;
  if (!request.allow_winograd || cpu_isa() == Isa::kPortable || cpu_has_vnni()) return false;
  LevelProblem level;
  level.geometry = problem.geometry;
  level.source = options_.activations();
  level.weights = options_.weights();
  level.src = operand_;
  level.dst = products_;
  level.winograd = true;
  level.epilogue = problem.epilogue;
  level.epilogue.bounded = false;  // who has a learned bound clips behind this
  if (!LevelConvolution::winograd_fits(level)) return false;
  level_forward_.emplace(level);
  return true;
}

/// Makes the forward product one of int8 where that gives the same sums and oneDNN has a kernel for it.
bool QuantizedConvolution::multiply_int8(const OpRequest& request, ConvProblem problem) {
  const bool whole = options_.activations().has_scale() && request.src_nonnegative[0];
  const bool plain = operand_.type == DataType::kF32 && products_.type == DataType::kF32 &&
                     operand_.block == operand_.shape[kC] && products_.block == products_.shape[kC] &&
                     problem.geometry.groups == 1;
  const bool pairs = options_.weights().levels() > 127;
  if (pairs && operand_.shape[kC] < kLeastPaired) return false;
  if (!whole || !plain || !int8_is_exact(options_, terms_, pairs)) return false;
  problem.src.type = DataType::kU8;
  if (pairs) {
    problem.src.block *= 2;
    problem.src.shape[kC] *= 2;
  }
  try {
    ConvForward product(problem);
    if (is_generic_kernel(product.kernel())) return false;
    forward_ = std::move(product);
  } catch (const dnnl::error&) {  // not in this version, or with these post-ops
    return false;
  }
  pairs_ = pairs;
  int8_operand_ = problem.src;
  multiplies_int8_ = true;
  return true;
}

void QuantizedConvolution::set_up_backward(const OpRequest& request, const ConvProblem& forward, std::int64_t parts) {
  ConvProblem problem = forward;
  problem.src = parts_of(request.src[0], parts);
  problem.bias = bias_;
  problem.scaled = problem.shifted = false;
  problem.epilogue = {};
  backward_weights_ = ConvBackwardWeights(problem);
  widened_ = operand_.type == problem.src.type ? 0 : problem.src.count();
  needs_diff_src_ = request.needs_diff_src[0];
  if (!needs_diff_src_) return;
  problem.src = request.src[0];
  problem.dst = request.dst;
  problem.bias = false;
  backward_data_ = ConvBackwardData(problem);
}

void QuantizedConvolution::refresh(const Context& c) {
  const Memory& m = c.memory;
  float* const levels = m[levels_];
  const float unit = weights_.quantize(c.param[0], levels);
  set_epilogue(c, unit);
  if (!floats_) pack_levels(m, levels);
  if (!trains_) return;
  weights_.restore(unit, levels);
  if (needs_diff_src_) backward_data_.pack(m, levels);
  if (!floats_) return;
  weights_.restore(*options_.fixed_unit(), levels);
  forward_.pack(m, levels);
}

void QuantizedConvolution::pack_levels(const Memory& m, const float* levels) {
  if (pairs_) {
    split_pairs(levels, channels_, terms_, m[pair_levels_]);
    forward_.pack(m, m[pair_levels_]);
  } else if (level_forward_) {
    level_forward_->pack(m, levels);
  } else {
    forward_.pack(m, levels);
  }
}

/// Levels stand for themselves.
void QuantizedConvolution::run_product(const Context& c, const void* operand, const void* addend, void* products) {
  const Memory& m = c.memory;
  const float *const scale = m[product_scale_], *const shift = m[shift_];
  if (!level_forward_) return forward_.run(m, operand, ScaleOperands{scale, shift, addend}, products);
  LevelConvolution::Operands operands;
  operands.src_scale = static_cast<float>(options_.activations().levels());
  operands.scale = scale;
  operands.shift = shift;
  operands.addend = addend;
  level_forward_->run(m, operand, operands, products);
}

void QuantizedConvolution::set_epilogue(const Context& c, float weight_unit) const {
  float *const scales = c.memory[scale_], *const shifts = c.memory[shift_];
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float scale = folded_ ? c.affine_scale[o] : 1.0F;
    scales[o] = weight_unit * scale;
    shifts[o] = (folded_ ? c.affine_shift[o] : 0.0F) + (bias_ ? c.param[1][o] * scale : 0.0F);
  }
}

const void* QuantizedConvolution::prepared(const Context& c, const void* operand, float& unit) {
  if (!multiplies_int8_) return operand;
  std::byte* const narrowed = c.memory[narrowed_.memory];
  if (!narrow_levels(view(operand), pairs_, reinterpret_cast<std::uint8_t*>(narrowed))) {
    unit = std::numeric_limits<float>::quiet_NaN();  // whole numbers cannot tell
  }
  return narrowed;
}

void QuantizedConvolution::forward(const Context& c, const void* operand, float unit, void* products) {
  const Memory& m = c.memory;
  if (floats_) return forward_.run(m, operand, bias_ ? c.param[1] : nullptr, products);
  operand = prepared(c, operand, unit);
  float* const scale = m[product_scale_];
  const float* const own = m[scale_];
  for (std::int64_t o = 0; o < channels_; ++o) scale[o] = unit * own[o];
  run_product(c, operand, c.addend.data, products);
}

float QuantizedConvolution::forward_levels(const Context& c, const void* operand, float unit, void* products) {
  const Memory& m = c.memory;
  operand = prepared(c, operand, unit);
  float* const scale = m[product_scale_];
  std::fill_n(scale, channels_, 1.0F);
  run_product(c, operand, nullptr, products);
  return unit * m[scale_][0];
}

void QuantizedConvolution::backward_weights(const Context& c, const void* operand, float unit,
                                            const void* diff_products) {
  const Memory& m = c.memory;
  float* const diff = m[diff_weights_];
  if (widened_ > 0) {
    widen_levels(view(operand), m[wide_]);
    operand = m[wide_];
  }
  std::fill_n(diff, diff_weights_.count(), 0.0F);
  backward_weights_.run(m, operand, diff_products, diff, bias_ ? c.diff_param[1] : nullptr);
  weights_.add_gradient(c.param[0], diff, unit, c.diff_param[0]);
}

void QuantizedConvolution::backward_data(const Context& c, const void* operand, const void* diff_products) {
  if (!needs_diff_src_) return;
  backward_data_.run(c.memory, diff_products, c.diff_src[0].data);
  if (options_.activations().is_bipolar()) return mask_outside(c.src[0], c.diff_src[0]);
  if (options_.activations().has_scale()) mask_gradient(view(operand), c.diff_src[0]);
}

}  // namespace sluice
