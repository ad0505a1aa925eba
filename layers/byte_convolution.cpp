#include "layers/byte_convolution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/buffer.hpp"
#include "layers/byte_edges.hpp"

namespace sluice {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLeastWeight = 1e-30F;  // steps of smaller ones would be denormal, which count as 0
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
  const bool in_bytes = src.type == DataType::kU8, rounds = src.type == DataType::kF32 && setup.src_nonnegative[0];
  const bool plain = src.block == src.shape[kC] && dst.type != DataType::kBF16 && dst.block == dst.shape[kC];
  if (!(in_bytes || (rounds && setup.src_range > 0)) || !plain || geometry.groups != 1) return;
  ConvProblem problem{geometry, src, dst, setup.mode, false, false, {}};
  problem.src.type = DataType::kU8;
  problem.scaled = problem.shifted = true;
  problem.addend = setup.addend;
  const bool to_bytes = dst.type == DataType::kU8;
  PostOp clip;
  clip.low = to_bytes ? 0.0F : -kInfinity;
  clip.high = to_bytes ? static_cast<float>(kMostByteLevel) : kInfinity;
  bool adds = false;
  for (const PostOp& op : setup.post_ops) {
    if (op.kind == PostOp::Kind::kAdd) {
      adds = true;
      problem.post_ops.push_back(op);
    } else if (op.kind == PostOp::Kind::kClip) {
      clip.low = std::max(clip.low, to_bytes ? op.low / dst.step : op.low);
      clip.high = std::min(clip.high, to_bytes ? op.high / dst.step : op.high);
    }
  }
  if (clip.low > -kInfinity || clip.high < kInfinity) problem.post_ops.push_back(clip);
  widens_addend_ = adds && setup.addend.type == DataType::kU8 && !to_bytes;
  if (widens_addend_) problem.addend = dst;
  unit_ = to_bytes && !(adds && setup.addend.type == DataType::kF32) ? dst.step : 1.0F;
  try {
    product_ = ConvForward(problem);
  } catch (const dnnl::error&) {  // not in this version, or with these post-ops
    return;
  }
  if (is_generic_kernel(product_.kernel())) return;
  kernel_ = product_.kernel();
  src_ = problem.src;
  if (!in_bytes) src_.step = static_cast<float>(setup.src_range / kMostByteLevel);
  adds_in_place_ = setup.dst_starts_as_addend || widens_addend_;
  channels_ = geometry.channels;
  filter_ = geometry.weights_shape(src.shape).count() / channels_;
  src_bytes_ = in_bytes ? 0 : align_up(src_.bytes());
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
    const float scale = (c.affine_scale != nullptr ? c.affine_scale[o] : 1.0F) / unit_;
    const float shift = (c.affine_shift != nullptr ? c.affine_shift[o] : 0.0F) / unit_;
    numbers(c, scale_)[o] = src_.step * step * scale;
    numbers(c, shift_)[o] = shift + (bias != nullptr ? bias[o] * scale : 0.0F);
  }
  product_.weights().pack(levels, c.kept[packed_], static_cast<char*>(c.scratch) + level_bytes_);
}

void ByteConvolution::forward(Context& c) {
  const void* src = c.src[0].data;
  if (src_bytes_ > 0) {
    round_to_bytes(c.src[0].as<const float>(), {src_, c.scratch});
    src = c.scratch;
  }
  if (widens_addend_) widen_bytes(c.addend, c.dst.as<float>());
  const void* const addend = adds_in_place_ ? c.dst.data : c.addend.data;
  product_.run(src, c.kept[packed_], Epilogue{numbers(c, scale_), numbers(c, shift_), addend}, c.dst.data,
               static_cast<char*>(c.scratch) + src_bytes_);
}

}  // namespace sluice
