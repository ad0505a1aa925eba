// Products of a convolution that skips, for whole vectors of outputs.
#pragma once

#include "gating/kernels/skip_units_detail.hpp"

namespace sluice::SLUICE_ISA {
namespace {

constexpr int kRun = SkipPixels::kRun;
constexpr int kMostRows = kNativeLanes == 16 ? 2 : 1;  // of runs at a time: 32 registers hold more sums

/// How lanes read a channel of a pixel (SkipRange): all the same, or each group of as many lanes as there are channels
/// in its own group, or by an index, or in quads of chunks of one unit or two.
constexpr int kSame = 0, kIndexed = -1, kQuads = -2, kQuadsOfTwo = -3;

#ifdef __AVX512F__
/// Four units in each quad of lanes: as they are, or in pairs the other way round.
template <bool kSwapped>
SLUICE_INLINE NativeI32 load_quads(const std::int32_t* p) {
  const NativeI32 x = reinterpret_cast<NativeI32>(_mm512_maskz_broadcast_i32x4(kAll, load_native<__m128i>(p)));
  if constexpr (kSwapped) return __builtin_shuffle(x, lane_numbers() ^ 1);
  return x;
}

/// From the order of quads to that of outputs.
template <int kChunk>
SLUICE_INLINE NativeF32 in_order(NativeF32 x) {
  NativeI32 lanes;
  for (int l = 0; l < kNativeLanes; ++l) lanes[quad_output(l, kChunk)] = l;
  return __builtin_shuffle(x, lanes);
}
#endif

/// Channel kChannel of each group of kChunk lanes.
template <int kChunk, int kChannel, class Native>
SLUICE_INLINE Native pick(Native x) {
  if constexpr (kChunk == 1) {
    return x;
  } else {
    return __builtin_shuffle(x, lane_numbers() / kChunk * kChunk + kChannel);
  }
}

/// Calls step(read) for each unit of a range of a pixel; read(offset) is that unit of another pixel.
template <class N, int kSpread, class Step>
SLUICE_INLINE void for_units(const SkipShape& s, const typename N::Unit* pixel, SkipRange range, Step&& step) {
  const std::int64_t count = range.count;
  const auto* at = pixel + range.begin;
  if constexpr (kSpread == kSame) {
    for (const auto* const end = at + count; at < end; ++at) {
      step([at](std::int64_t offset) __attribute__((always_inline)) { return N::repeat(at[offset]); });
    }
  } else if constexpr (kSpread == kIndexed) {
    NativeI32 place = load_native<NativeI32>(s.lane_units);
    if (s.wrap >= 0) {
      at = pixel;
      place += range.begin;
    }
    for (std::int64_t i = 0; i < count; ++i, place += 1) {
      const NativeI32 index = place & s.wrap;
      asm volatile("" : "+r"(at));  // loaded again and again: there are no registers to keep what was
      step([ at, index ](std::int64_t offset)
               __attribute__((always_inline)) { return __builtin_shuffle(load_units<N>(at + offset), index); });
    }
#ifdef __AVX512F__
  } else if constexpr (kSpread == kQuads || kSpread == kQuadsOfTwo) {
    const auto one = [&](auto swapped) __attribute__((always_inline)) {
      const auto* own = at;
      asm volatile("" : "+r"(own));
      step([ own, swapped ](std::int64_t offset)
               __attribute__((always_inline)) { return load_quads<swapped.value>(own + offset); });
    };
    one(std::false_type{});
    if constexpr (kSpread == kQuadsOfTwo) one(std::true_type{});
#endif
  } else {
    const auto one = [&](auto channel) __attribute__((always_inline)) {
      const auto* own = at;
      asm volatile("" : "+r"(own));
      step([ own, channel ](std::int64_t offset)
               __attribute__((always_inline)) { return pick<kSpread, channel.value>(load_units<N>(own + offset)); });
    };
    one(std::integral_constant<int, 0>{});
    if constexpr (kSpread > 1) one(std::integral_constant<int, 1>{});
    if constexpr (kSpread > 2) one(std::integral_constant<int, 2>{});
    if constexpr (kSpread > 2) one(std::integral_constant<int, 3>{});
  }
}

/// Of filters 3x3 at stride 1: each value of a row serves up to three pixels.
template <class N, int kSpread, int kRows>
SLUICE_INLINE void multiply_run(const SkipShape& s, const SkipVector& v, const typename N::Unit* src,
                                typename N::Native (&sums)[kRows][kRun]) {
  const std::int64_t pitch = s.pitch, row = s.row_pitch(), tap = v.units * kNativeLanes;
  const auto* weights = static_cast<const typename N::Unit*>(v.weights);
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) sums[r][i] = typename N::Native{};
  }
  for (int ky = 0; ky < 3; ++ky, src += row, weights += 2 * tap) {
    for (std::int64_t k = 0; k < v.range_count; ++k) {
      const auto step = [&](auto read) __attribute__((always_inline)) {
        const auto left = load_units<N>(weights), middle = load_units<N>(weights + tap),
                   right = load_units<N>(weights + 2 * tap);
        weights += kNativeLanes;
#pragma GCC unroll 2
        for (int r = 0; r < kRows; ++r) {
          std::int64_t o1 = pitch, o3 = 3 * pitch, o5 = 5 * pitch, o7 = 7 * pitch, o9 = 9 * pitch;
          asm("" : "+r"(o1), "+r"(o3), "+r"(o5), "+r"(o7), "+r"(o9));
          const std::int64_t places[10] = {0, o1, 2 * o1, o3, 4 * o1, o5, 2 * o3, o7, 8 * o1, o9};
#pragma GCC unroll 10
          for (int i = 0; i < kRun + 2; ++i) {
            const auto x = read(r * row + places[i]);
            if (i < kRun) N::add(sums[r][i], left, x);
            if (i > 0 && i <= kRun) N::add(sums[r][i - 1], middle, x);
            if (i > 1) N::add(sums[r][i - 2], right, x);
          }
        }
      };
      for_units<N, kSpread>(s, src, v.ranges[k], step);
    }
  }
}

/// Of any filter and any pixels.
template <class N, int kSpread>
SLUICE_INLINE void multiply_pixels(const SkipShape& s, const SkipVector& v, const typename N::Unit* const (&src)[kRun],
                                   typename N::Native (&sums)[kRun]) {
  const auto* weights = static_cast<const typename N::Unit*>(v.weights);
#pragma GCC unroll 8
  for (int i = 0; i < kRun; ++i) sums[i] = typename N::Native{};
  for (std::int64_t ky = 0; ky < s.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < s.kernel; ++kx) {
      const std::int64_t tap = s.dilation * (ky * s.row_pitch() + kx * s.pitch);
      for (std::int64_t k = 0; k < v.range_count; ++k) {
        const auto step = [&](auto read) __attribute__((always_inline)) {
          const auto w = load_units<N>(weights);
          weights += kNativeLanes;
#pragma GCC unroll 8
          for (int i = 0; i < kRun; ++i) N::add(sums[i], w, read(src[i] - src[0]));
        };
        for_units<N, kSpread>(s, src[0] + tap, v.ranges[k], step);
      }
    }
  }
}

/// From a kernel's order of lanes to that of outputs.
template <int kSpread>
SLUICE_INLINE NativeF32 ordered(NativeF32 x) {
#ifdef __AVX512F__
  if constexpr (kSpread == kQuads) return in_order<1>(x);
  if constexpr (kSpread == kQuadsOfTwo) return in_order<2>(x);
#endif
  return x;
}

/// Where products of one vector go: sums.
template <bool kReplaces>
struct SumTarget {
  float* sums;
  std::int64_t pitch;
  const Word* open;  ///< null: the results are written, else added (or written) where a gate is open

  template <int kSpread>
  SLUICE_INLINE void put(std::int64_t pixel, NativeF32 x) const {
    float* const to = sums + pixel * pitch;
    if (open == nullptr) return store_native(to, x);
    const NativeF32 before = load_f32(to);
    store_native(to, kReplaces ? select(open[pixel], x, before) : before + select(open[pixel], x, NativeF32{}));
  }
  SLUICE_INLINE bool writes() const { return open == nullptr; }
  /// Of a run of pixels.
  SLUICE_INLINE bool wants(std::int64_t pixel) const {
    if (open == nullptr) return true;
    unsigned bits = 0;
    for (int i = 0; i < kRun; ++i) bits |= open[pixel + i];
    return bits != 0;
  }
};

/// What makes results of one vector of outputs that are closed.
struct ClosedEnding {
  NativeF32 limit, scale, shift;
  float addend_scale, low, high;

  SLUICE_INLINE ClosedEnding(const SkipEnding& e, std::int64_t channel)
      : limit(load_f32(e.limit + channel)),
        scale(load_f32(e.closed_scale + channel)),
        shift(load_f32(e.closed_shift + channel)),
        addend_scale(e.addend_scale),
        low(e.low),
        high(e.high) {}
};

/// Or results of outputs as if they were closed.
template <class T>
class ClosedTarget {
 public:
  SLUICE_INLINE ClosedTarget(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t vector,
                             const SkipDirect& direct)
      : ending_(e),
        channel_(vector * kNativeLanes),
        kept_(e, channel_),
        open_(static_cast<Word*>(t.open) + vector * t.pixels),
        dst_(static_cast<T*>(direct.dst) + channel_offset(s, channel_)),
        addend_(direct.addend == nullptr ? nullptr
                                         : static_cast<const T*>(direct.addend) + channel_offset(s, channel_)),
        pitch_(s.dst_block) {}

  template <int kSpread>
  SLUICE_INLINE void put(std::int64_t pixel, NativeF32 x) const {
    // Only these leave registers for numbers by channel; else they are loaded again and again.
    if constexpr (kNativeLanes == 16 && (kSpread >= kSame || kSpread == kQuads)) return put(pixel, x, kept_);
    const SkipEnding* e = &ending_;
    asm volatile("" : "+r"(e));
    put(pixel, x, ClosedEnding(*e, channel_));
  }
  SLUICE_INLINE bool writes() const { return true; }
  SLUICE_INLINE bool wants(std::int64_t /*pixel*/) const { return true; }

 private:
  SLUICE_INLINE void put(std::int64_t pixel, NativeF32 x, const ClosedEnding& e) const {
    open_[pixel] = static_cast<Word>(greater(x, e.limit));
    x = x * e.scale + e.shift;
    if (addend_ != nullptr) x += load_f32(addend_ + pixel * pitch_) * e.addend_scale;
    store_f32(dst_ + pixel * pitch_, clip<T>(x, broadcast(e.low), broadcast(e.high)));
  }

  const SkipEnding& ending_;
  std::int64_t channel_;
  ClosedEnding kept_;
  Word* open_;
  T* dst_;
  const T* addend_;
  std::int64_t pitch_;
};

/// What a run's pixels will need: hinted run by run, so that fetching spreads over the products.
SLUICE_INLINE void fetch_run(const SkipAhead& ahead, std::int64_t pixel) {
  constexpr std::int64_t line = 64;
  const auto fetch = [pixel](const char* from, std::int64_t pitch, auto write) __attribute__((always_inline)) {
    const std::int64_t step = pitch < line ? line : pitch, end = kRun * pitch;
    from += pixel * pitch;
    for (std::int64_t at = 0; at < end; at += step) __builtin_prefetch(from + at, write.value, 2);
  };
  fetch(ahead.src, ahead.src_pitch, std::integral_constant<int, 0>{});
  fetch(ahead.dst, ahead.dst_pitch, std::integral_constant<int, 1>{});
}

template <class N, int kSpread, int kRows, class Target>
void multiply_rows(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                   std::int64_t columns, std::int64_t row) {
  const std::int64_t width = s.dst_width;
  const auto* const patch = static_cast<const typename N::Unit*>(t.patch);
  for (std::int64_t x = 0; x < columns; x += kRun) {
    const std::int64_t pixel = row * width + x;
    if (!target.wants(pixel) && (kRows == 1 || !target.wants(pixel + width))) continue;
    if (target.writes() && t.ahead.src != nullptr) {
      for (int r = 0; r < kRows; ++r) fetch_run(t.ahead, pixel + r * width);
    }
    typename N::Native sums[kRows][kRun];
    multiply_run<N, kSpread, kRows>(s, v, patch + t.taps[pixel], sums);
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int i = 0; i < kRun; ++i)
        target.template put<kSpread>(pixel + r * width + i, ordered<kSpread>(N::result(sums[r][i])));
    }
  }
}

template <class N, int kSpread, class Target>
void multiply_list(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                   const SkipPixel* list, std::int64_t count) {
  const auto* const patch = static_cast<const typename N::Unit*>(t.patch);
  for (std::int64_t first = 0; first < count; first += kRun) {
    const std::int64_t own = count - first < kRun ? count - first : kRun;
    const typename N::Unit* src[kRun];
    typename N::Native sums[kRun];
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) src[i] = patch + t.taps[list[first + (i < own ? i : 0)]];
    multiply_pixels<N, kSpread>(s, v, src, sums);
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) {
      if (i < own) target.template put<kSpread>(list[first + i], ordered<kSpread>(N::result(sums[i])));
    }
  }
}

template <class N, int kSpread, class Target>
void multiply_all(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                  const SkipPixels& pixels) {
  const std::int64_t rows = pixels.columns > 0 ? t.images * t.rows : 0;
  std::int64_t row = 0;
  // Two rows of one image lie as far apart in the patch as two of the result do.
  if (kMostRows == 2 && t.rows % 2 == 0) {
    for (; row < rows; row += 2) multiply_rows<N, kSpread, kMostRows>(s, t, v, target, pixels.columns, row);
  }
  for (; row < rows; ++row) multiply_rows<N, kSpread, 1>(s, t, v, target, pixels.columns, row);
  multiply_list<N, kSpread>(s, t, v, target, pixels.list, pixels.count);
}

/// Of a vector whose lanes read units of their own.
template <class N, class Target>
void multiply_spread(const SkipShape& s, const SkipTile& t, const SkipVector& v, const SkipPixels& pixels,
                     const Target& target) {
#ifdef __AVX512F__
  if constexpr (std::is_same_v<N, Int8>) {
    if (v.quads && s.src_chunk == 1) return multiply_all<N, kQuads>(s, t, v, target, pixels);
    if (v.quads) return multiply_all<N, kQuadsOfTwo>(s, t, v, target, pixels);
  }
#endif
  if (s.src_chunk == s.dst_chunk && s.wrap < 0) {
    switch (s.src_chunk) {
      case 1:
        return multiply_all<N, 1>(s, t, v, target, pixels);
      case 2:
        return multiply_all<N, 2>(s, t, v, target, pixels);
      case 4:
        if constexpr (kNativeLanes > 4) return multiply_all<N, 4>(s, t, v, target, pixels);
    }
  }
  if constexpr (kNativeLanes > 4) multiply_all<N, kIndexed>(s, t, v, target, pixels);
}

/// Of levels, which have one range that all lanes read alike.
template <class N, class Target>
void multiply_levels(const SkipShape& s, const SkipTile& t, const SkipVector& v, const SkipPixels& pixels,
                     const Target& target) {
  static_assert(kRun == kLevelRun);
  const LevelOperands operands{v.units, s.pitch, s.row_pitch(), s.together};
  const auto* const patch = static_cast<const std::int32_t*>(t.patch) + v.ranges->begin;
  const auto* const weights = static_cast<const std::int32_t*>(v.weights);
  const std::int64_t rows = pixels.columns > 0 ? t.images * t.rows : 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t x = 0; x < pixels.columns; x += kRun) {
      const std::int64_t pixel = row * s.dst_width + x;
      if (!target.wants(pixel)) continue;
      if (target.writes() && t.ahead.src != nullptr) fetch_run(t.ahead, pixel);
      NativeI32 sums[kRun]{};
      add_run<typename N::Sums>(operands, patch + t.taps[pixel], weights, sums);
#pragma GCC unroll 8
      for (int i = 0; i < kRun; ++i) target.template put<kSame>(pixel + i, N::result(sums[i]));
    }
  }
  for (std::int64_t first = 0; first < pixels.count; first += kRun) {
    const std::int64_t own = pixels.count - first < kRun ? pixels.count - first : kRun;
    const std::int32_t* src[kRun];
    NativeI32 sums[kRun]{};
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) src[i] = patch + t.taps[pixels.list[first + (i < own ? i : 0)]];
    add_pixels<typename N::Sums>(operands, s.kernel, s.dilation, src, weights, sums);
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) {
      if (i < own) target.template put<kSame>(pixels.list[first + i], N::result(sums[i]));
    }
  }
}

template <class N, class Target>
void multiply_to(const SkipShape& s, const SkipTile& t, const SkipVector& v, const SkipPixels& pixels,
                 const Target& target) {
  if constexpr (N::kReplaces) {
    multiply_levels<N>(s, t, v, pixels, target);
  } else {
    v.spread ? multiply_spread<N>(s, t, v, pixels, target) : multiply_all<N, kSame>(s, t, v, target, pixels);
  }
}

template <class N>
void multiply(const SkipShape& s, const SkipTile& t, std::int64_t vector, const SkipVector& v, const SkipPixels& pixels,
              bool conditional) {
  const Word* const open = static_cast<const Word*>(t.open) + vector * t.pixels;
  multiply_to<N>(s, t, v, pixels,
                 SumTarget<N::kReplaces>{t.sums + vector * kNativeLanes, s.dst_pitch, conditional ? open : nullptr});
}

template <class N>
void finish_closed(const SkipShape& s, const SkipTile& t, const SkipEnding& e, std::int64_t vector, const SkipVector& v,
                   const SkipPixels& pixels, const SkipDirect& direct) {
  multiply_to<N>(s, t, v, pixels, ClosedTarget<typename N::Result>(s, t, e, vector, direct));
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
