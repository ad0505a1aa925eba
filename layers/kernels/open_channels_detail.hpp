// Lists of open channels, and what stands side by side of them. Included only by kernels' files, in whose namespaces
// they are.
#pragma once

#include "layers/kernels/open_channel_kernels.hpp"
#include "layers/kernels/winograd_memory.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

SLUICE_INLINE std::int64_t round_up(std::int64_t count, std::int64_t to) {
  return (count + to - 1) / to * to;
}

/// Channels in their order, and zeros up to a vector behind them.
struct OpenList {
  const std::int32_t* channels;
  std::int64_t count;
};

/// The open ones of [first, end).
inline OpenList list_open(const float* factors, std::int64_t first, std::int64_t end, std::int32_t* to) {
  std::int64_t count = 0;
  for (std::int64_t c = first; c < end; ++c) {
    to[count] = static_cast<std::int32_t>(c);
    count += factors == nullptr || factors[c] != 0 ? 1 : 0;
  }
  for (std::int64_t i = 0; i < kNativeLanes; ++i) to[count + i] = 0;
  return {to, count};
}

/// Where a list goes on behind the channels of a vector.
SLUICE_INLINE std::int64_t end_of_vector(const OpenList& list, std::int64_t from, std::int64_t channel) {
  while (from < list.count && list.channels[from] < channel + kNativeLanes) ++from;
  return from;
}

SLUICE_INLINE NativeF32 permuted(NativeF32 x, NativeI32 lanes) {
  return __builtin_shuffle(x, lanes & (kNativeLanes - 1));
}

/// Blocks of 16 channels.
struct ChannelBlocks {
  std::int64_t first, end;
};

/// A rectangle of an image.
struct Pixels {
  std::int64_t row, end_row, column, end_column;
};

/// One step of a transposition: elements whose row and column differ in one bit change places.
template <int kBit>
SLUICE_INLINE void exchange(NativeF32 (&rows)[kNativeLanes]) {
  NativeI32 low, high;
  for (int l = 0; l < kNativeLanes; ++l) {
    low[l] = (l & kBit) != 0 ? kNativeLanes + l - kBit : l;
    high[l] = (l & kBit) != 0 ? kNativeLanes + l : l + kBit;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kNativeLanes; ++i) {
    if ((i & kBit) != 0) continue;
    const NativeF32 a = rows[i], b = rows[i | kBit];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i | kBit] = __builtin_shuffle(a, b, high);
  }
}

/// The same within each quarter of four rows, in fewer steps.
SLUICE_INLINE void transpose_quads(NativeF32& a, NativeF32& b, NativeF32& c, NativeF32& d) {
  NativeI32 low, high, first, second;
  for (int l = 0; l < kNativeLanes; ++l) {
    const int quad = l / 4 * 4, other = l % 2 * kNativeLanes;
    low[l] = quad + l % 4 / 2 + other;
    high[l] = quad + l % 4 / 2 + 2 + other;
    first[l] = quad + l % 2 + (l % 4 / 2) * kNativeLanes;
    second[l] = first[l] + 2;
  }
  const NativeF32 ab = __builtin_shuffle(a, b, low), ab2 = __builtin_shuffle(a, b, high);
  const NativeF32 cd = __builtin_shuffle(c, d, low), cd2 = __builtin_shuffle(c, d, high);
  a = __builtin_shuffle(ab, cd, first);
  b = __builtin_shuffle(ab, cd, second);
  c = __builtin_shuffle(ab2, cd2, first);
  d = __builtin_shuffle(ab2, cd2, second);
}

SLUICE_INLINE void transpose(NativeF32 (&rows)[kNativeLanes]) {
#pragma GCC unroll 4
  for (int i = 0; i < kNativeLanes; i += 4) transpose_quads(rows[i], rows[i + 1], rows[i + 2], rows[i + 3]);
  if constexpr (kNativeLanes > 4) exchange<4>(rows);
  if constexpr (kNativeLanes > 8) exchange<8>(rows);
}

/// Where open channels of a result stand side by side, and a vector of them for each pixel may be read behind the last.
struct SideBySide {
  float* image;  ///< pixel (0, 0), which need not be there
  std::int64_t pixel, row;
};

SLUICE_INLINE SideBySide side_by_side(std::int64_t count, const Pixels& pixels, float* memory) {
  const std::int64_t pixel = round_up(count, kNativeLanes), row = pixel * (pixels.end_column - pixels.column);
  return {memory - pixels.row * row - pixels.column * pixel, pixel, row};
}

/// Multiplies open channels, those in some blocks of the result, and puts them where they belong, zeros between them.
inline void spread(const WinogradChannels& side, const ChannelBlocks& blocks, const Pixels& made,
                   const OpenList& outputs, const float* by_channel, const SideBySide& open, float* dst) {
  std::int64_t from = 0;
  for (std::int64_t channel = blocks.first * kLanes; channel < blocks.end * kLanes; channel += kNativeLanes) {
    const std::int64_t end = end_of_vector(outputs, from, channel);
    NativeI32 lanes{}, keep{};
    NativeF32 factors{};
    for (std::int64_t i = from; i < end; ++i) {
      const std::int64_t lane = outputs.channels[i] - channel;
      lanes[lane] = static_cast<std::int32_t>(i - from);
      keep[lane] = -1;
      factors[lane] = by_channel[outputs.channels[i]];
    }
    float* const plane = dst + channel / kLanes * side.block + channel % kLanes;
    for (std::int64_t y = made.row; y < made.end_row; ++y) {
      const float* at = open.image + y * open.row + made.column * open.pixel + from;
      float* to = plane + y * side.row + made.column * side.pixel;
      for (std::int64_t x = made.column; x < made.end_column; ++x, at += open.pixel, to += side.pixel) {
        const NativeF32 own = permuted(load_part(at), lanes) * factors;
        store_part(to, reinterpret_cast<NativeF32>(reinterpret_cast<NativeI32>(own) & keep));
      }
    }
    from = end;
  }
}

/// The epilogue for outputs side by side.
inline WinogradEpilogue gather_epilogue(const WinogradEpilogue& epilogue, const OpenList& outputs, float* bias) {
  WinogradEpilogue own = epilogue;
  if (epilogue.bias == nullptr) return own;
  for (std::int64_t i = 0; i < outputs.count + kNativeLanes; ++i) bias[i] = epilogue.bias[outputs.channels[i]];
  own.bias = bias;
  return own;
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
