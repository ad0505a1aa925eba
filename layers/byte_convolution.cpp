#include "layers/byte_convolution.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "layers/byte_edges.hpp"

namespace sluice {
namespace {

constexpr float kLeastWeight = 1e-30F;  // steps of smaller ones would be denormal, which count as 0

}  // namespace

float byte_step(const float* weights, std::int64_t count) {
  float most = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isnan(weights[i])) return weights[i];
    most = std::max(most, std::abs(weights[i]));
  }
  return most > kLeastWeight ? most / kMostByteLevel : 1.0F;
}

float byte_level(float weight, float step) {
  const float level = std::nearbyint(weight / step);
  return std::isnan(level) ? 0.0F : std::clamp(level, -1.0F * kMostByteLevel, 1.0F * kMostByteLevel);
}

namespace {

/// What stands around the product.
struct BytePlan {
  ConvProblem problem;
  bool src_in_bytes = false;
  bool adds_in_place = false;  ///< what is added stands in the result's memory
  bool widens_addend = false;  ///< ... after it has been brought there, from bytes
  float unit = 1;              ///< of scale and shift: the result's step, or 1
};

bool is_possible(const OpRequest& request, const ConvGeometry& geometry) {
  const TensorDesc &src = request.src[0], &dst = request.dst;
  const bool in_bytes = src.type == DataType::kU8, rounds = src.type == DataType::kF32 && request.src_nonnegative[0];
  const bool plain = src.block == src.shape[kC] && dst.type != DataType::kBF16 && dst.block == dst.shape[kC];
  return (in_bytes || (rounds && request.src_range > 0)) && plain && geometry.groups == 1;
}

/// With the clip in the result's units, and within its bounds.
Epilogue epilogue_of(const OpRequest& request) {
  Epilogue epilogue(request.post_ops);
  if (request.dst.type != DataType::kU8) return epilogue;
  epilogue.low = std::max(0.0F, epilogue.low / request.dst.step);
  epilogue.high = std::min(static_cast<float>(kMostByteLevel), epilogue.high / request.dst.step);
  return epilogue;
}

BytePlan plan_of(const OpRequest& request, const ConvGeometry& geometry) {
  const TensorDesc &src = request.src[0], &dst = request.dst;
  const bool to_bytes = dst.type == DataType::kU8, adds = request.has(PostOp::Kind::kAdd);
  BytePlan plan;
  plan.src_in_bytes = src.type == DataType::kU8;
  plan.problem.geometry = geometry;
  plan.problem.src = src;
  plan.problem.src.type = DataType::kU8;
  plan.problem.dst = dst;
  plan.problem.mode = request.mode;
  plan.problem.allow_winograd = false;
  plan.problem.scaled = plan.problem.shifted = true;
  plan.problem.addend = request.addend;
  plan.problem.epilogue = epilogue_of(request);
  plan.widens_addend = adds && request.addend.type == DataType::kU8 && !to_bytes;
  if (plan.widens_addend) plan.problem.addend = dst;
  plan.adds_in_place = adds_in_place(request) || plan.widens_addend;
  plan.unit = to_bytes && !(adds && request.addend.type == DataType::kF32) ? dst.step : 1.0F;
  return plan;
}

class ByteConvolution : public Op {
 public:
  ByteConvolution(const OpRequest& request, const BytePlan& plan, ConvForward product, bool bias, OpNeeds& needs)
      : product_(std::move(product)),
        bias_(bias),
        unit_(plan.unit),
        adds_in_place_(plan.adds_in_place),
        widens_addend_(plan.widens_addend),
        rounds_src_(!plan.src_in_bytes),
        channels_(plan.problem.geometry.channels),
        filter_(plan.problem.geometry.weights_shape(request.src[0].shape).count() / channels_) {
    TensorDesc src = plan.problem.src;
    if (rounds_src_) src.step = static_cast<float>(request.src_range / kMostByteLevel);
    src_step_ = src.step;
    Frames frames = needs.slots.frames();
    levels_ = frames.refresh.book<float>(channels_ * filter_);
    if (rounds_src_) src_ = frames.forward.book(src);
    rounded_.desc = src;
    product_.book(needs.slots, frames.refresh, frames.forward);
    scale_ = needs.slots.kept<float>(channels_);
    shift_ = needs.slots.kept<float>(channels_);
  }

  void refresh(const Context& c) override {
    const float *const weights = c.param[0], *const bias = bias_ ? c.param[1] : nullptr;
    float *const levels = c.memory[levels_], *const scales = c.memory[scale_], *const shifts = c.memory[shift_];
    for (std::int64_t o = 0; o < channels_; ++o) {
      const float* const own = weights + o * filter_;
      const float step = byte_step(own, filter_);
      for (std::int64_t i = 0; i < filter_; ++i) levels[o * filter_ + i] = byte_level(own[i], step);
      const float scale = (c.affine_scale != nullptr ? c.affine_scale[o] : 1.0F) / unit_;
      const float shift = (c.affine_shift != nullptr ? c.affine_shift[o] : 0.0F) / unit_;
      scales[o] = src_step_ * step * scale;
      shifts[o] = shift + (bias != nullptr ? bias[o] * scale : 0.0F);
    }
    product_.pack(c.memory, levels);
  }

  void forward(const Context& c) override {
    const void* src = c.src[0].data;
    if (rounds_src_) {
      rounded_.data = c.memory[src_.memory];
      round_to_bytes(c.src[0].as<const float>(), rounded_);
      src = rounded_.data;
    }
    if (widens_addend_) widen_bytes(c.addend, c.dst.as<float>());
    const void* const addend = adds_in_place_ ? c.dst.data : c.addend.data;
    product_.run(c.memory, src, ScaleOperands{c.memory[scale_], c.memory[shift_], addend}, c.dst.data);
  }

 private:
  ConvForward product_;
  bool bias_;
  float unit_, src_step_ = 0;
  bool adds_in_place_, widens_addend_, rounds_src_;
  std::int64_t channels_, filter_;
  BookedTensor src_;  ///< in bytes, where it comes in floats
  Tensor rounded_;    ///< the same in a call
  Slot<float> levels_, scale_, shift_;
};

}  // namespace

std::unique_ptr<Op> make_byte_convolution(const OpRequest& request, const ConvGeometry& geometry, bool bias,
                                          OpNeeds& needs, std::string& kernel) {
  if (!is_possible(request, geometry)) return nullptr;
  const BytePlan plan = plan_of(request, geometry);
  try {
    ConvForward product(plan.problem);
    if (is_generic_kernel(product.kernel())) return nullptr;
    kernel = product.kernel();
    return std::make_unique<ByteConvolution>(request, plan, std::move(product), bias, needs);
  } catch (const dnnl::error&) {  // not in this version, or with these post-ops
    return nullptr;
  }
}

}  // namespace sluice
