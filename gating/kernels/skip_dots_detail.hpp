// Products of a convolution that skips, for outputs one by one: scalar products of vectors of the patch.
#pragma once

#include "gating/kernels/skip_units_detail.hpp"

namespace sluice::SLUICE_ISA {
namespace {

// Pixels at a time, and sums for each: together they hide the latency of an addition and fit the registers. Floats have
// two sums for every number of pixels: an output's bits do not depend on which others are open.
constexpr int kPixels = kNativeLanes == 16 ? 8 : 7;

/// Lanes whose index in the pair (a, b) is pattern(place in its 128 bits), counted there.
template <class Native, class Pattern>
SLUICE_INLINE Native shuffle_quarters(Native a, Native b, Pattern pattern) {
  NativeI32 index;
  for (int l = 0; l < kNativeLanes; ++l) {
    const int from = pattern(l % 4);
    index[l] = l / 4 * 4 + from % 4 + from / 4 * kNativeLanes;
  }
  return __builtin_shuffle(a, b, index);
}

/// a0 + a2, b0 + b2, a1 + a3, b1 + b3 of each four.
template <class Native>
SLUICE_INLINE Native fold_halves(Native a, Native b) {
  return shuffle_quarters(a, b, [](int l) { return l / 2 + l % 2 * 4; }) +
         shuffle_quarters(a, b, [](int l) { return l / 2 + l % 2 * 4 + 2; });
}
/// a0 + a2, a1 + a3, b0 + b2, b1 + b3 of each four.
template <class Native>
SLUICE_INLINE Native fold_pairs(Native a, Native b) {
  return shuffle_quarters(a, b, [](int l) { return l % 2 + l / 2 * 4; }) +
         shuffle_quarters(a, b, [](int l) { return l % 2 + l / 2 * 4 + 2; });
}
template <class Native>
SLUICE_INLINE Native fold(Native a, Native b, Native c, Native d) {
  return fold_pairs(fold_halves(a, b), fold_halves(c, d));
}

/// Sums of the lanes of up to eight vectors: those of the first four stand in lanes 0 to 3 of the result, those of the
/// others from kSecond on.
constexpr int kSecond = kNativeLanes == 16 ? 8 : 4;
template <class Native>
SLUICE_INLINE Native across(Native first, Native second) {
  NativeI32 low, high;
  constexpr int half = kNativeLanes / 2;
  for (int l = 0; l < kNativeLanes; ++l) {
    low[l] = l < half ? l : kNativeLanes + l - half;
    high[l] = low[l] + half;
  }
  Native x = __builtin_shuffle(first, second, low) + __builtin_shuffle(first, second, high);
  if (kNativeLanes == 16) x += __builtin_shuffle(x, lane_numbers() ^ 4);
  return x;
}

/// Calls put(i, sum) with the sums of the lanes of kCount vectors, each of which finish has changed.
template <class N, int kCount, class Finish, class Put>
SLUICE_INLINE void put_sums(const typename N::Native (&sums)[8], Finish&& finish, Put&& put) {
  const typename N::Native first = fold(sums[0], sums[1], sums[2], sums[3]);
  typename N::Native second{};
  if (kCount > 4) second = fold(sums[4], sums[5], sums[6], sums[7]);
  if (kNativeLanes == 4) {
    const NativeF32 low = finish(N::result(first)), high = finish(N::result(second));
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) put(i, i < 4 ? low[i % 4] : high[i % 4]);
    return;
  }
  const NativeF32 all = finish(N::result(across(first, second)));
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) put(i, all[i < 4 ? i : i - 4 + kSecond]);
}

/// What becomes of dots of one channel: they are added to sums, or replace them.
template <bool kReplaces>
class SumDots {
 public:
  SLUICE_INLINE SumDots(const SkipShape& s, const SkipTile& t, std::int64_t channel)
      : sums_(t.sums + channel), pitch_(s.dst_pitch) {}
  SLUICE_INLINE NativeF32 finish(NativeF32 x) const { return x; }
  SLUICE_INLINE void put(std::int64_t pixel, float x) const {
    float& sum = sums_[pixel * pitch_];
    sum = kReplaces ? x : sum + x;
  }

 private:
  float* sums_;
  std::int64_t pitch_;
};

/// Or they are results of open outputs.
template <class T, bool kAdds>
class OpenDots {
 public:
  SLUICE_INLINE OpenDots(const SkipShape& s, const SkipEnding& e, std::int64_t channel, const SkipDirect& direct)
      : dst_(static_cast<T*>(direct.dst) + channel_offset(s, channel)),
        addend_(static_cast<const T*>(direct.addend) + (kAdds ? channel_offset(s, channel) : 0)),
        pitch_(s.dst_block),
        scale_(e.open_scale[channel]),
        shift_(e.open_shift[channel]),
        addend_scale_(e.addend_scale),
        low_(e.low),
        high_(e.high) {}
  /// All that can be done before an addend is known.
  SLUICE_INLINE NativeF32 finish(NativeF32 x) const {
    x = x * scale_ + shift_;
    return kAdds ? x : whole(clip<T>(x, broadcast(low_), broadcast(high_)));
  }
  SLUICE_INLINE void put(std::int64_t pixel, float x) const {
    if (kAdds) {
      x += static_cast<float>(addend_[pixel * pitch_]) * addend_scale_;
      x = whole(clip<T>(x, low_, high_));
    }
    if constexpr (kInt8) {
      std::uint32_t bits;
      __builtin_memcpy(&bits, &x, sizeof bits);
      dst_[pixel * pitch_] = static_cast<T>(bits);
    } else {
      dst_[pixel * pitch_] = x;
    }
  }

 private:
  static constexpr bool kInt8 = std::is_same_v<T, std::uint8_t>;
  /// Of int8, so that the lowest bits are the number.
  template <class X>
  static SLUICE_INLINE X whole(X x) {
    return kInt8 ? x + kNoFraction : x;
  }

  T* dst_;
  const T* addend_;
  std::int64_t pitch_;
  float scale_, shift_, addend_scale_, low_, high_;
};

template <class N, int kCount, class Dots>
SLUICE_INLINE void dot_pixels(const SkipTile& t, const SkipDot& dot, const SkipPixel* list, const Dots& dots) {
  using Native = typename N::Native;
  const typename N::Unit* src[kCount];
  Native sums[8], odd[kCount];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = Native{};
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    src[i] = static_cast<const typename N::Unit*>(t.patch) + t.taps[list[i]];
    odd[i] = Native{};
  }
  const auto* weights = static_cast<const typename N::Unit*>(dot.weights);
  const std::uint32_t* offset = dot.offsets;
  for (const std::uint32_t* const end = offset + dot.vectors / 2 * 2; offset < end; offset += 2) {
    // One load for two offsets: loads are what limits this loop.
    const std::uint64_t both = load_native<std::uint64_t>(offset);
    const std::uint64_t a = both & 0xffffffffU, b = both >> 32;
    const Native x = load_units<N>(weights);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) N::add(sums[i], x, load_units<N>(src[i] + a));
    const Native y = load_units<N>(weights + kNativeLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) N::add(N::kExact ? sums[i] : odd[i], y, load_units<N>(src[i] + b));
    weights += 2 * kNativeLanes;
  }
  if (dot.vectors % 2 != 0) {
    const Native x = load_units<N>(weights);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) N::add(sums[i], x, load_units<N>(src[i] + *offset));
  }
#pragma GCC unroll 8
  for (int i = 0; i < kCount && !N::kExact; ++i) sums[i] += odd[i];
  asm volatile("" : "+r"(list));  // read once more: there are no registers to keep the numbers
  put_sums<N, kCount>(
      sums, [&](NativeF32 x) __attribute__((always_inline)) { return dots.finish(x); },
      [&](int i, float x) __attribute__((always_inline)) { dots.put(list[i], x); });
}

template <class N, int kCount, class Dots>
void dot_last(const SkipTile& t, const SkipDot& dot, const SkipPixel* list, std::int64_t count, const Dots& dots) {
  if constexpr (kCount > 0) {
    if (count == kCount) return dot_pixels<N, kCount>(t, dot, list, dots);
    dot_last<N, kCount - 1>(t, dot, list, count, dots);
  }
}

template <class N, class Dots>
void dot_list(const SkipTile& t, const SkipDot& dot, const SkipPixel* list, std::int64_t count, const Dots& dots) {
  while (count >= 2 * kPixels || count == kPixels) {
    dot_pixels<N, kPixels>(t, dot, list, dots);
    list += kPixels;
    count -= kPixels;
  }
  if (count > kPixels) {  // two halves: a few pixels take as long as one
    const std::int64_t half = (count + 1) / 2;
    dot_last<N, kPixels>(t, dot, list, half, dots);
    list += half;
    count -= half;
  }
  dot_last<N, kPixels>(t, dot, list, count, dots);
}

template <class N>
void dot(const SkipShape& s, const SkipTile& t, std::int64_t channel, const SkipDot& dot, const SkipPixel* list,
         std::int64_t count) {
  dot_list<N>(t, dot, list, count, SumDots<N::kReplaces>(s, t, channel));
}

template <class N>
void finish_open(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t channel, const SkipDot& dot,
                 const SkipPixel* list, std::int64_t count, const SkipDirect& direct) {
  using Result = typename N::Result;
  if (direct.addend == nullptr) return dot_list<N>(t, dot, list, count, OpenDots<Result, false>(s, e, channel, direct));
  dot_list<N>(t, dot, list, count, OpenDots<Result, true>(s, e, channel, direct));
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
