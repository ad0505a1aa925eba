#include "layers/byte_convolution.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {
namespace {

constexpr float kLeastWeight = 1e-30F;  // steps of smaller ones would be denormal, which count as 0
constexpr std::int64_t kGrain = 16384;  // numbers

std::size_t keep(Setup& setup, std::int64_t bytes) {
  return static_cast<std::size_t>(setup.request_kept(bytes));
}

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

ByteConvolution::ByteConvolution(Setup& setup, const ConvGeometry& geometry) {
  const TensorDesc &src = setup.src[0], &dst = setup.dst;
  const bool plain = src.type == DataType::kF32 && src.block == src.shape[kC] && dst.type == DataType::kF32 &&
                     dst.block == dst.shape[kC] && geometry.groups == 1;
  if (!(setup.src_range > 0) || !setup.src_nonnegative[0] || !plain) return;
  ConvProblem problem{geometry, src, dst, setup.mode, false, false, {}};
  problem.src.type = DataType::kU8;
  problem.scaled = problem.shifted = true;
  for (const PostOp& op : setup.post_ops) {
    adds_ = adds_ || op.kind == PostOp::Kind::kAdd;
    if (op.kind != PostOp::Kind::kAffine) problem.post_ops.push_back(op);
  }
  try {
    product_ = ConvForward(problem);
  } catch (const dnnl::error&) {  // not in this version, or with these post-ops
    return;
  }
  if (is_generic_kernel(product_.kernel())) return;
  kernel_ = product_.kernel();
  src_step_ = static_cast<float>(setup.src_range / kMostByteLevel);
  channels_ = geometry.channels;
  filter_ = geometry.weights_shape(src.shape).count() / channels_;
  src_bytes_ = align_up(problem.src.bytes());
  level_bytes_ = align_up(channels_ * filter_ * 4);
  packed_ = keep(setup, product_.weights().bytes());
  scale_ = keep(setup, channels_ * 4);
  shift_ = keep(setup, channels_ * 4);
  setup.request_scratch(level_bytes_ + product_.weights().scratch_bytes());
  setup.request_scratch(src_bytes_ + product_.scratch_bytes());
}

void ByteConvolution::refresh(Context& c, const float* weights, const float* bias) {
  float* const levels = static_cast<float*>(c.scratch);
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float* const own = weights + o * filter_;
    const float step = byte_step(own, filter_);
    for (std::int64_t i = 0; i < filter_; ++i) levels[o * filter_ + i] = byte_level(own[i], step);
    const float scale = c.affine_scale != nullptr ? c.affine_scale[o] : 1.0F;
    const float shift = c.affine_shift != nullptr ? c.affine_shift[o] : 0.0F;
    numbers(c, scale_)[o] = src_step_ * step * scale;
    numbers(c, shift_)[o] = shift + (bias != nullptr ? bias[o] * scale : 0.0F);
  }
  product_.weights().pack(levels, c.kept[packed_], static_cast<char*>(c.scratch) + level_bytes_);
}

void ByteConvolution::forward(Context& c) {
  const float* const src = c.src[0].as<const float>();
  const auto bytes = static_cast<std::uint8_t*>(c.scratch);
  parallel_for(c.src[0].desc.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    byte_kernels().round(end - begin, src + begin, 1 / src_step_, kMostByteLevel, bytes + begin);
  });
  product_.run(bytes, c.kept[packed_], Epilogue{numbers(c, scale_), numbers(c, shift_), adds_ ? c.dst.data : nullptr},
               c.dst.data, bytes + src_bytes_);
}

}  // namespace sluice
