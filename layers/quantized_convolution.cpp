#include "layers/quantized_convolution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

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

/// W = 2 high + low, all between -127 and 127: the high parts of each output's filters, then the low ones.
void split_pairs(const float* levels, std::int64_t channels, std::int64_t terms, float* pairs) {
  for (std::int64_t o = 0; o < channels; ++o, levels += terms, pairs += 2 * terms) {
    for (std::int64_t i = 0; i < terms; ++i) {
      pairs[i] = std::trunc(levels[i] / 2);
      pairs[terms + i] = levels[i] - 2 * pairs[i];
    }
  }
}

/// Whether sums of bytes are those of fp32, and exact. Processors without VNNI add two products in 16 bits.
bool bytes_are_exact(const QuantizationOptions& options, std::int64_t terms, bool pairs) {
  const std::int64_t most_weight = pairs ? 127 : options.weights().levels();
  const std::int64_t most_operand = (pairs ? 2 : 1) * options.activations().levels();
  const std::int64_t sum = options.weights().levels() * options.activations().levels() * terms;
  return options.weights().levels() <= 255 && most_operand <= 255 && 2 * most_weight * most_operand < (1 << 15) &&
         sum < (1 << 24);
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
                                           Setup& setup, bool bias, std::int64_t parts)
    : options_(options),
      operand_(parts_of(setup.src[0], parts)),
      products_(parts_of(setup.dst, parts)),
      channels_(geometry.channels),
      bias_(bias) {
  const Shape shape = geometry.weights_shape(operand_.shape);
  terms_ = shape[1] * shape[2] * shape[3];
  weights_ = QuantizedWeights(options, shape.count(), terms_);
  operand_.type = options.operand_type(operand_.type, terms_);
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
  problem.addend = setup.addend;
  problem.shifted = shifted_;
  if (!multiply_bytes(setup, problem)) forward_ = ConvForward(problem);
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
  refresh_scratch_ = (pairs_ ? 3 : 1) * weights_.bytes() + packing;
}

/// Makes the forward product one of bytes where that gives the same sums and oneDNN has a kernel for it.
bool QuantizedConvolution::multiply_bytes(const Setup& setup, ConvProblem problem) {
  const Quantizer weights = options_.weights(), activations = options_.activations();
  const bool whole = weights.bits > 0 && activations.has_scale() && setup.src_nonnegative[0];
  const bool plain = operand_.type == DataType::kF32 && products_.type == DataType::kF32 &&
                     operand_.block == operand_.shape[kC] && products_.block == products_.shape[kC] &&
                     problem.geometry.groups == 1;
  const bool pairs = weights.levels() > 127;
  if (pairs && operand_.shape[kC] < kLeastPaired) return false;
  if (!whole || !plain || !bytes_are_exact(options_, terms_, pairs)) return false;
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
  byte_operand_bytes_ = align_up(problem.src.bytes());
  return true;
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
  char* rest = static_cast<char*>(c.scratch) + weights_.bytes();
  const float unit = weights_.quantize(c.param[0], levels);
  if (pairs_) {
    float* const pairs = floats(rest);
    rest += 2 * weights_.bytes();
    split_pairs(levels, channels_, terms_, pairs);
    forward_.weights().pack(pairs, c.kept[packed_], rest);
  } else {
    forward_.weights().pack(levels, c.kept[packed_], rest);
  }
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
  if (byte_operand_bytes_ > 0) {
    const auto bytes = static_cast<std::uint8_t*>(scratch);
    if (!narrow_levels({operand_, const_cast<void*>(operand)}, pairs_, bytes)) {
      unit = std::numeric_limits<float>::quiet_NaN();  // bytes cannot tell
    }
    operand = bytes;
    scratch = bytes + byte_operand_bytes_;
  }
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
