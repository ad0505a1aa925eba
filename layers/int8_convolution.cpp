#include "layers/int8_convolution.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "layers/int8_edges.hpp"
#include "layers/int8_open_convolution.hpp"
#include "layers/int8_product.hpp"

namespace sluice {
namespace {

constexpr float kLeastWeight = 1e-30F;  // scales of smaller ones would be denormal, which count as 0

}  // namespace

float int8_scale(const float* weights, std::int64_t count) {
  float most = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isnan(weights[i])) return weights[i];
    most = std::max(most, std::abs(weights[i]));
  }
  return most > kLeastWeight ? most / kMostInt8Level : 1.0F;
}

float int8_level(float weight, float scale) {
  const float level = std::nearbyint(weight / scale);
  return std::isnan(level) ? 0.0F : std::clamp(level, -1.0F * kMostInt8Level, 1.0F * kMostInt8Level);
}

namespace {

/// The product, and what stands around it.
struct Int8Problem {
  ConvProblem product;
  bool src_in_int8 = false;
  bool adds_in_place = false;  ///< what is added stands in the result's memory
  bool widens_addend = false;  ///< ... after it has been brought there, from int8
  float unit = 1;              ///< of scale and shift: the result's scale, or 1
};

bool is_possible(const OpRequest& request, const ConvGeometry& geometry) {
  const TensorDesc &src = request.src[0], &dst = request.dst;
  const bool in_int8 = src.type == DataType::kU8, rounds = src.type == DataType::kF32 && request.src_nonnegative[0];
  const bool plain = src.block == src.shape[kC] && dst.type != DataType::kBF16 && dst.block == dst.shape[kC];
  return (in_int8 || (rounds && request.src_range > 0)) && plain && geometry.groups == 1;
}

/// With the clip in the result's units, and within its bounds.
Epilogue epilogue_of(const OpRequest& request) {
  Epilogue epilogue(request.post_ops);
  if (request.dst.type != DataType::kU8) return epilogue;
  epilogue.low = std::max(0.0F, epilogue.low / request.dst.scale);
  epilogue.high = std::min(static_cast<float>(kMostInt8Level), epilogue.high / request.dst.scale);
  return epilogue;
}

Int8Problem problem_of(const OpRequest& request, const ConvGeometry& geometry) {
  const TensorDesc &src = request.src[0], &dst = request.dst;
  const bool to_int8 = dst.type == DataType::kU8, adds = request.has(PostOp::Kind::kAdd);
  Int8Problem problem;
  problem.src_in_int8 = src.type == DataType::kU8;
  problem.product.geometry = geometry;
  problem.product.src = src;
  problem.product.src.type = DataType::kU8;
  problem.product.dst = dst;
  problem.product.mode = request.mode;
  problem.product.allow_winograd = false;
  problem.product.scaled = problem.product.shifted = true;
  problem.product.addend = request.addend;
  problem.product.epilogue = epilogue_of(request);
  problem.widens_addend = adds && request.addend.type == DataType::kU8 && !to_int8;
  if (problem.widens_addend) problem.product.addend = dst;
  problem.adds_in_place = adds_in_place(request) || problem.widens_addend;
  problem.unit = to_int8 && !(adds && request.addend.type == DataType::kF32) ? dst.scale : 1.0F;
  return problem;
}

/// What is around a product: the levels of its operands, and the numbers that its sums are scaled and shifted by.
class Int8Operation : public Op {
 public:
  void refresh(const Context& c) override {
    const float *const weights = c.param[0], *const bias = bias_ ? c.param[1] : nullptr;
    float *const levels = c.memory[levels_], *const scales = c.memory[scale_], *const shifts = c.memory[shift_];
    for (std::int64_t o = 0; o < channels_; ++o) {
      const float* const own = weights + o * filter_;
      const float own_scale = int8_scale(own, filter_);
      for (std::int64_t i = 0; i < filter_; ++i) levels[o * filter_ + i] = int8_level(own[i], own_scale);
      const float scale = (c.affine_scale != nullptr ? c.affine_scale[o] : 1.0F) / unit_;
      const float shift = (c.affine_shift != nullptr ? c.affine_shift[o] : 0.0F) / unit_;
      scales[o] = src_scale_ * own_scale * scale;
      shifts[o] = shift + (bias != nullptr ? bias[o] * scale : 0.0F);
    }
    pack(c.memory, levels);
  }

  void forward(const Context& c) override {
    const void* src = c.src[0].data;
    if (rounds_src_) {
      rounded_.data = c.memory[src_.memory];
      round_to_int8(c.src[0].as<const float>(), rounded_);
      src = rounded_.data;
    }
    multiply(c, src);
  }

 protected:
  /// Books in front of what the product does; `padded`: scales and shifts that it takes.
  Int8Operation(const OpRequest& request, const Int8Problem& problem, bool bias, std::int64_t padded, OpNeeds& needs,
                Frames& frames)
      : bias_(bias),
        unit_(problem.unit),
        rounds_src_(!problem.src_in_int8),
        channels_(problem.product.geometry.channels),
        filter_(problem.product.geometry.weights_shape(request.src[0].shape).count() / channels_) {
    TensorDesc src = problem.product.src;
    if (rounds_src_) src.scale = static_cast<float>(request.src_range / kMostInt8Level);
    src_scale_ = src.scale;
    levels_ = frames.refresh.book<float>(channels_ * filter_);
    if (rounds_src_) src_ = frames.forward.book(src);
    rounded_.desc = src;
    scale_ = needs.slots.kept<float>(padded);
    shift_ = needs.slots.kept<float>(padded);
  }

  virtual void pack(const Memory& memory, const float* levels) = 0;
  virtual void multiply(const Context& c, const void* src) = 0;
  const float* scale(const Context& c) const { return c.memory[scale_]; }
  const float* shift(const Context& c) const { return c.memory[shift_]; }

 private:
  bool bias_;
  float unit_, src_scale_ = 0;
  bool rounds_src_;
  std::int64_t channels_, filter_;
  BookedTensor src_;  ///< in int8, where it comes in floats
  Tensor rounded_;    ///< the same in a call
  Slot<float> levels_, scale_, shift_;
};

/// By oneDNN.
class Int8Convolution : public Int8Operation {
 public:
  Int8Convolution(const OpRequest& request, const Int8Problem& problem, ConvForward product, bool bias, OpNeeds& needs,
                  Frames frames)
      : Int8Operation(request, problem, bias, problem.product.geometry.channels, needs, frames),
        product_(std::move(product)),
        adds_in_place_(problem.adds_in_place),
        widens_addend_(problem.widens_addend) {
    product_.book(needs.slots, frames.refresh, frames.forward);
  }

 private:
  void pack(const Memory& memory, const float* levels) override { product_.pack(memory, levels); }

  void multiply(const Context& c, const void* src) override {
    if (widens_addend_) widen_int8(c.addend, c.dst.as<float>());
    const void* const addend = adds_in_place_ ? c.dst.data : c.addend.data;
    product_.run(c.memory, src, ScaleOperands{scale(c), shift(c), addend}, c.dst.data);
  }

  ConvForward product_;
  bool adds_in_place_, widens_addend_;
};

/// By a kernel of ours.
class Int8Pixels : public Int8Operation {
 public:
  Int8Pixels(const OpRequest& request, const Int8Problem& problem, const Int8Product& product, bool bias,
             OpNeeds& needs, Frames frames)
      : Int8Operation(request, problem, bias, product.padded(), needs, frames),
        product_(product),
        adds_in_place_(sluice::adds_in_place(request)) {
    product_.book(needs.slots);
  }

 private:
  void pack(const Memory& memory, const float* levels) override { product_.pack(memory, levels); }

  void multiply(const Context& c, const void* src) override {
    const void* const addend = adds_in_place_ ? c.dst.data : c.addend.data;
    product_.run(c.memory, src, {scale(c), shift(c), addend}, c.dst.data);
  }

  Int8Product product_;
  bool adds_in_place_;
};

/// By kernels of ours, over the channels that are open, or all of them.
class Int8OpenChannels : public Int8Operation {
 public:
  Int8OpenChannels(const OpRequest& request, const ChannelFactors& factors, const Int8Problem& problem,
                   const Int8OpenConvolution::Problem& open, bool bias, OpNeeds& needs, Isa isa, Frames frames)
      : Int8Operation(request, problem, bias, problem.product.geometry.channels, needs, frames),
        factors_(factors),
        convolution_(open, isa),
        adds_in_place_(sluice::adds_in_place(request)) {
    convolution_.book(needs.slots, frames.forward);
  }
  std::string kernel() const { return convolution_.kernel(); }

 private:
  void pack(const Memory& memory, const float* levels) override { convolution_.pack(memory, levels); }

  void multiply(const Context& c, const void* src) override {
    const auto of = [&](int k) { return k < 0 ? nullptr : c.src[static_cast<std::size_t>(k)].as<const float>(); };
    const void* const addend = adds_in_place_ ? c.dst.data : c.addend.data;
    convolution_.run(c.memory, src, {of(factors_.inputs), of(factors_.outputs)}, {scale(c), shift(c), addend},
                     c.dst.data);
  }

  ChannelFactors factors_;
  Int8OpenConvolution convolution_;
  bool adds_in_place_;
};

}  // namespace

std::unique_ptr<Op> make_int8_convolution(const OpRequest& request, const ConvGeometry& geometry, bool bias,
                                          OpNeeds& needs, std::string& kernel) {
  if (!is_possible(request, geometry)) return nullptr;
  const Int8Problem problem = problem_of(request, geometry);
  try {
    ConvForward product(problem.product);
    if (is_generic_kernel(product.kernel())) return nullptr;
    kernel = product.kernel();
    return std::make_unique<Int8Convolution>(request, problem, std::move(product), bias, needs, needs.slots.frames());
  } catch (const dnnl::error&) {  // not in this version, or with these post-ops
    return nullptr;
  }
}

std::unique_ptr<Op> make_int8_product(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                      std::string& kernel, Isa isa) {
  const TensorDesc &src = request.src[0], &dst = request.dst;
  if (!Int8Product::fits(geometry, src, dst))
    return make_int8_open_channels(request, {}, geometry, bias, needs, kernel, isa);
  if (!is_possible(request, geometry)) return nullptr;
  const Int8Product product({geometry, src, dst, request.addend, epilogue_of(request)}, isa);
  kernel = product.kernel();
  return std::make_unique<Int8Pixels>(request, problem_of(request, geometry), product, bias, needs,
                                      needs.slots.frames());
}

std::unique_ptr<Op> make_int8_open_channels(const OpRequest& request, const ChannelFactors& factors,
                                            const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                            std::string& kernel, Isa isa) {
  const Int8Problem problem = problem_of(request, geometry);
  const Int8OpenConvolution::Problem open = {
      {geometry, problem.product.src, request.dst, request.addend, problem.product.epilogue},
      factors.inputs >= 0,
      factors.outputs >= 0};
  if (!is_possible(request, geometry) || !Int8OpenConvolution::fits(open)) return nullptr;
  auto op = std::make_unique<Int8OpenChannels>(request, factors, problem, open, bias, needs, isa, needs.slots.frames());
  kernel = op->kernel();
  return op;
}

}  // namespace sluice
