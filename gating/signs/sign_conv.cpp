#include "gating/signs/sign_conv.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "core/base/parallel.hpp"
#include "layers/channel_groups.hpp"
#include "layers/quantizer.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostTaps = 8;  ///< bits of Outside::masks
constexpr std::int64_t kVector = 8;    ///< outputs of the widest vector

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::int64_t filter_words(const ConvGeometry& geometry, std::int64_t inputs) {
  return divide_up(geometry.kernel * geometry.kernel * inputs, 64);
}

/// Above which whole number a sum opens its gate.
std::int32_t whole_limit(float limit) {
  return std::isnan(limit) ? std::numeric_limits<std::int32_t>::max() : static_cast<std::int32_t>(limit);
}

}  // namespace

SignConv::Outside::Outside(const ConvGeometry& geometry, std::int64_t src_size, std::int64_t dst_size) {
  for (std::int64_t i = 0; i < dst_size; ++i) {
    std::uint32_t mask = 0;
    for (std::int64_t tap = 0; tap < geometry.kernel; ++tap) {
      const std::int64_t at = i * geometry.stride - geometry.pad + tap * geometry.dilation;
      if (at < 0 || at >= src_size) mask |= 1U << tap;
    }
    const auto found = std::find(masks.begin(), masks.end(), mask);
    of.push_back(static_cast<std::int32_t>(found - masks.begin()));
    if (found == masks.end()) masks.push_back(mask);
  }
}

bool SignConv::fits(const ConvGeometry& geometry, const Shape& src) {
  return geometry.groups == 1 && geometry.kernel <= kMostTaps && geometry.channels <= SignShape::kMostOutputs &&
         filter_words(geometry, src[kC]) <= SignShape::kMostWords;
}

SignConv::SignConv(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst, const Epilogue& epilogue,
                   Isa isa)
    : geometry_(geometry),
      src_(src),
      dst_(dst),
      epilogue_(epilogue),
      kernels_(&sign_kernels(isa)),
      rows_(geometry, src.shape[kH], dst.shape[kH]),
      columns_(geometry, src.shape[kW], dst.shape[kW]) {
  shape_.channels = src.shape[kC];
  shape_.pixel_words = divide_up(shape_.channels, 64);
  shape_.taps = geometry.kernel * geometry.kernel;
  shape_.words = filter_words(geometry, shape_.channels);
  shape_.outputs = geometry.channels;
  shape_.padded = divide_up(geometry.channels, kVector) * kVector;
  pitch_ = (src.shape[kW] + 2 * geometry.pad) * shape_.pixel_words;
  plane_rows_ = src.shape[kH] + 2 * geometry.pad;
  for (std::int64_t h = 0; h < geometry.kernel; ++h) {
    for (std::int64_t w = 0; w < geometry.kernel; ++w)
      offsets_.push_back(geometry.dilation * (h * pitch_ + w * shape_.pixel_words));
  }
}

SignShape SignConv::shape() const {
  SignShape shape = shape_;
  shape.offsets = offsets_.data();  // not those of what this was copied from
  return shape;
}

void SignConv::book(SlotBook& book, Scratch& forward) {
  const auto kinds = static_cast<std::int64_t>(rows_.masks.size() * columns_.masks.size());
  plain_ = book.kept<std::uint64_t>(shape_.padded * shape_.words);
  lanes_ = book.kept<std::uint64_t>(plain_.count() * kernels_->splits);
  limit_ = book.kept<std::int32_t>(shape_.padded);
  first_ = book.kept<std::int32_t>(kinds * shape_.padded);
  for (Slot<std::uint64_t>* slot : {&high_, &low_})
    *slot = forward.book<std::uint64_t>(src_.shape[kN] * plane_rows_ * pitch_);
}

void SignConv::pack(const Memory& memory, const float* levels, const float* limits) const {
  std::uint64_t *const lanes = memory[lanes_], *const plain = memory[plain_];
  std::int32_t *const limit = memory[limit_], *const first = memory[first_];
  std::fill_n(plain, plain_.count(), 0);
  std::fill_n(first, first_.count(), 0);
  std::fill_n(limit, shape_.padded, std::numeric_limits<std::int32_t>::max());
  const std::int64_t taps = shape_.taps, inputs = shape_.channels, words = shape_.words;
  for (std::int64_t o = 0; o < shape_.outputs; ++o) {
    limit[o] = whole_limit(limits[o]);
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int32_t sum = 0;  // of the tap's weights
      for (std::int64_t i = 0; i < inputs; ++i) {
        const bool one = levels[(o * inputs + i) * taps + tap] > 0;
        const std::int64_t bit = tap * inputs + i;
        plain[o * words + bit / 64] |= std::uint64_t{one} << (bit % 64);
        sum += one ? 1 : -1;
      }
      // Bits that are not set count as -1, but outside the image there is nothing.
      for (std::size_t row = 0; row < rows_.masks.size(); ++row) {
        for (std::size_t column = 0; column < columns_.masks.size(); ++column) {
          const bool out = (rows_.masks[row] >> (tap / geometry_.kernel) & 1U) != 0 ||
                           (columns_.masks[column] >> (tap % geometry_.kernel) & 1U) != 0;
          const auto kind = static_cast<std::int64_t>(row * columns_.masks.size() + column);
          first[kind * shape_.padded + o] += static_cast<std::int32_t>(inputs) + (out ? sum : 0);
        }
      }
    }
  }
  const std::int64_t vector = kernels_->lanes, splits = kernels_->splits;
  const std::uint64_t kept = splits == 1 ? ~std::uint64_t{0} : 0x0f0f0f0f0f0f0f0fULL;  // halves of bytes
  for (std::int64_t o = 0; o < shape_.padded; ++o) {
    for (std::int64_t k = 0; k < words * splits; ++k)
      lanes[(o / vector * words * splits + k) * vector + o % vector] =
          (plain[o * words + k / splits] >> (k % splits * 4)) & kept;
  }
}

bool SignConv::pack_planes(const Memory& memory, const float* src) const {
  std::uint64_t *const high = memory[high_], *const low = memory[low_];
  const SignShape shape = this->shape();
  const std::int64_t width = src_.shape[kW], height = src_.shape[kH], side = geometry_.pad * shape_.pixel_words;
  std::atomic<bool> has_nan{false};
  parallel_for(src_.shape[kN] * plane_rows_, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t image = row / plane_rows_, h = row % plane_rows_ - geometry_.pad;
      std::uint64_t *const to_high = high + row * pitch_, *const to_low = low + row * pitch_;
      if (h < 0 || h >= height) {
        std::fill_n(to_high, pitch_, 0);
        std::fill_n(to_low, pitch_, 0);
        continue;
      }
      for (std::uint64_t* const to : {to_high, to_low}) {
        std::fill_n(to, side, 0);
        std::fill_n(to + pitch_ - side, side, 0);
      }
      if (kernels_->pack(shape, width, src_.block, src_.block, height * width * src_.block,
                         src + src_.offset(image, 0, h, 0), to_high + side, to_low + side))
        has_nan = true;
    }
  });
  return has_nan;
}

/// The first element of a row of results, all images' one behind the other.
std::int64_t SignConv::place(std::int64_t row, std::int64_t channel) const {
  return dst_.offset(row / dst_.shape[kH], channel, row % dst_.shape[kH], 0);
}

/// Sums of levels go where the result will be.
std::int64_t SignConv::multiply_row(const Memory& memory, std::int64_t row, SignWay way, float* dst) const {
  constexpr int kPixels = SignKernels::kPixels;
  alignas(64) float sums[kPixels * SignShape::kMostOutputs];
  const SignShape shape = this->shape();
  const SignWeights weights{memory[lanes_], memory[plain_], memory[limit_]};
  const std::int64_t width = dst_.shape[kW], height = dst_.shape[kH], outputs = shape.outputs;
  const std::int64_t at = (row / height * plane_rows_ + row % height * geometry_.stride) * pitch_;
  const std::size_t row_kind = static_cast<std::size_t>(rows_.of[static_cast<std::size_t>(row % height)]);
  const std::int32_t* const first =
      memory[first_] + static_cast<std::int64_t>(row_kind * columns_.masks.size()) * shape.padded;
  std::int64_t open = 0;
  for (std::int64_t w = 0; w < width; w += kPixels) {
    const int count = static_cast<int>(std::min<std::int64_t>(kPixels, width - w));
    SignPixel pixels[kPixels];
    for (int p = 0; p < count; ++p) {
      const std::int64_t place = at + (w + p) * geometry_.stride * shape.pixel_words;
      pixels[p] = {memory[high_] + place, memory[low_] + place,
                   first + columns_.of[static_cast<std::size_t>(w + p)] * shape.padded};
    }
    open += kernels_->multiply(shape, weights, pixels, count, way, sums);
    for (std::int64_t o = 0; o < outputs; o += dst_.block) {
      float* const to = dst + place(row, o) + w * dst_.block;
      for (int p = 0; p < count; ++p)
        std::copy_n(sums + p * shape.padded + o, std::min(dst_.block, outputs - o), to + p * dst_.block);
    }
  }
  return open;
}

void SignConv::finish_row(std::int64_t row, const Operands& operands, float* dst) const {
  const ChannelGroups groups(dst_);
  for (std::int64_t group = 0; group < groups.count; ++group) {
    const std::int64_t at = place(row, 16 * group);
    ChannelGroup one_row = groups.at(group);
    one_row.rows = dst_.shape[kW];
    norm_kernels<float>().forward(
        one_row, epilogue_.ending(), dst + at, operands.addend == nullptr ? nullptr : operands.addend + at, dst + at,
        operands.scale + 16 * group, operands.shift + 16 * group, epilogue_.clip(operands.bound));
  }
}

std::int64_t SignConv::run(const Memory& memory, const float* src, SignWay way, const Operands& operands,
                           float* dst) const {
  const bool has_nan = pack_planes(memory, src);
  std::atomic<std::int64_t> open{0};
  parallel_for(dst_.shape[kN] * dst_.shape[kH], 1, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t own = 0;
    for (std::int64_t row = begin; row < end; ++row) {
      own += multiply_row(memory, row, way, dst);
      finish_row(row, operands, dst);
    }
    open += own;
  });
  if (has_nan) spread_nans({src_, const_cast<float*>(src)}, {dst_, dst});  // bits cannot tell
  return open;
}

void SignConv::decisions(const Memory& memory, float* dst) const {
  const std::int32_t* const limit = memory[limit_];
  parallel_for(dst_.shape[kN] * dst_.shape[kH], 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      multiply_row(memory, row, SignWay::kNone, dst);
      for (std::int64_t o = 0; o < shape_.outputs; ++o) {
        float* const channel = dst + place(row, o);
        for (std::int64_t w = 0; w < dst_.shape[kW]; ++w) {
          float& value = channel[w * dst_.block];
          value = static_cast<std::int32_t>(value) > limit[o] ? 1.0F : 0.0F;
        }
      }
    }
  });
}

}  // namespace sluice
