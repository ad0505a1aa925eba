// Products of whole vectors of outputs, for one instruction set.
#include "gating/kernels/skip_kernels.hpp"

#include "gating/kernels/skip_kernels_detail.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr int kRun = 8;                                // pixels side by side
constexpr int kMostRows = kNativeLanes == 16 ? 2 : 1;  // of runs at a time: 32 registers hold more sums

/// How lanes read a channel of a pixel (SkipRange): all the same, or each group of as many lanes as there are channels
/// in its own group, or by an index.
constexpr int kSame = 0, kIndexed = -1;

/// Channel kChannel of each group of kChunk lanes.
template <int kChunk, int kChannel>
SLUICE_INLINE NativeF32 pick(NativeF32 x) {
  if constexpr (kChunk == 1) {
    return x;
  } else {
    return __builtin_shuffle(x, lane_numbers() / kChunk * kChunk + kChannel);
  }
}

/// Calls step(read) for each channel of a range that starts at `at`; read(offset) is that channel of another pixel.
template <int kSpread, class Step>
SLUICE_INLINE void for_channels(const SkipShape& s, const float* at, std::int64_t count, Step&& step) {
  if constexpr (kSpread == kSame) {
#pragma GCC unroll 2
    for (const float* const end = at + count; at < end; ++at) {
      step([at](std::int64_t offset) __attribute__((always_inline)) { return broadcast(at[offset]); });
    }
  } else if constexpr (kSpread == kIndexed) {
    NativeI32 index = lane_numbers() / static_cast<std::int32_t>(s.dst_chunk) * static_cast<std::int32_t>(s.src_chunk);
    for (std::int64_t i = 0; i < count; ++i, index += 1) {
      step([ at, index ](std::int64_t offset)
               __attribute__((always_inline)) { return __builtin_shuffle(load_f32(at + offset), index); });
    }
  } else {
    const auto one = [&](auto channel) __attribute__((always_inline)) {
      const float* own = at;
      asm volatile("" : "+r"(own));  // loaded again: there are no registers to keep it
      step([ own, channel ](std::int64_t offset)
               __attribute__((always_inline)) { return pick<kSpread, channel.value>(load_f32(own + offset)); });
    };
    one(std::integral_constant<int, 0>{});
    if constexpr (kSpread > 1) one(std::integral_constant<int, 1>{});
    if constexpr (kSpread > 2) one(std::integral_constant<int, 2>{});
    if constexpr (kSpread > 2) one(std::integral_constant<int, 3>{});
  }
}

/// Of filters 3x3 at stride 1: each value of a row serves up to three pixels.
template <int kSpread, int kRows>
SLUICE_INLINE void multiply_run(const SkipShape& s, const SkipVector& v, const float* src,
                                NativeF32 (&sums)[kRows][kRun]) {
  const std::int64_t pitch = s.pitch, row = s.row_pitch(), tap = v.channels * kNativeLanes;
  const float* weights = v.weights;
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) sums[r][i] = NativeF32{};
  }
  for (int ky = 0; ky < 3; ++ky, src += row, weights += 2 * tap) {
    for (std::int64_t k = 0; k < v.range_count; ++k) {
      const auto step = [&](auto read) __attribute__((always_inline)) {
        const NativeF32 left = load_f32(weights), middle = load_f32(weights + tap), right = load_f32(weights + 2 * tap);
        weights += kNativeLanes;
#pragma GCC unroll 2
        for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 10
          for (int i = 0; i < kRun + 2; ++i) {
            const NativeF32 x = read(r * row + i * pitch);
            if (i < kRun) sums[r][i] += left * x;
            if (i > 0 && i <= kRun) sums[r][i - 1] += middle * x;
            if (i > 1) sums[r][i - 2] += right * x;
          }
        }
      };
      for_channels<kSpread>(s, src + v.ranges[k].begin, v.ranges[k].count, step);
    }
  }
}

/// Of any filter and any pixels.
template <int kSpread>
SLUICE_INLINE void multiply_pixels(const SkipShape& s, const SkipVector& v, const float* const (&src)[kRun],
                                   NativeF32 (&sums)[kRun]) {
  const float* weights = v.weights;
#pragma GCC unroll 8
  for (int i = 0; i < kRun; ++i) sums[i] = NativeF32{};
  for (std::int64_t ky = 0; ky < s.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < s.kernel; ++kx) {
      const std::int64_t tap = s.dilation * (ky * s.row_pitch() + kx * s.pitch);
      for (std::int64_t k = 0; k < v.range_count; ++k) {
        const auto step = [&](auto read) __attribute__((always_inline)) {
          const NativeF32 w = load_f32(weights);
          weights += kNativeLanes;
#pragma GCC unroll 8
          for (int i = 0; i < kRun; ++i) sums[i] += w * read(src[i] - src[0]);
        };
        for_channels<kSpread>(s, src[0] + tap + v.ranges[k].begin, v.ranges[k].count, step);
      }
    }
  }
}

/// Where results of one vector go.
struct Target {
  float* sums;
  std::int64_t pitch;
  const Word* open;  ///< null: the results are written, else added where a gate is open

  SLUICE_INLINE void put(std::int64_t pixel, NativeF32 x) const {
    float* const to = sums + pixel * pitch;
    if (open == nullptr) return store_native(to, x);
    store_native(to, load_f32(to) + select(open[pixel], x, NativeF32{}));
  }
  SLUICE_INLINE bool any(std::int64_t pixel) const {
    if (open == nullptr) return true;
    unsigned bits = 0;
    for (int i = 0; i < kRun; ++i) bits |= open[pixel + i];
    return bits != 0;
  }
};

template <int kSpread, int kRows>
void multiply_rows(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                   std::int64_t columns, std::int64_t row) {
  const std::int64_t width = s.dst_width;
  for (std::int64_t x = 0; x < columns; x += kRun) {
    const std::int64_t pixel = row * width + x;
    if (!target.any(pixel) && (kRows == 1 || !target.any(pixel + width))) continue;
    NativeF32 sums[kRows][kRun];
    multiply_run<kSpread, kRows>(s, v, t.patch + t.taps[pixel], sums);
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int i = 0; i < kRun; ++i) target.put(pixel + r * width + i, sums[r][i]);
    }
  }
}

template <int kSpread>
void multiply_list(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                   const SkipPixel* list, std::int64_t count) {
  for (std::int64_t first = 0; first < count; first += kRun) {
    const std::int64_t own = count - first < kRun ? count - first : kRun;
    const float* src[kRun];
    NativeF32 sums[kRun];
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) src[i] = t.patch + t.taps[list[first + (i < own ? i : 0)]];
    multiply_pixels<kSpread>(s, v, src, sums);
#pragma GCC unroll 8
    for (int i = 0; i < kRun; ++i) {
      if (i < own) target.put(list[first + i], sums[i]);
    }
  }
}

template <int kSpread>
void multiply_all(const SkipShape& s, const SkipTile& t, const SkipVector& v, const Target& target,
                  const SkipPixels& pixels) {
  const std::int64_t rows = pixels.columns > 0 ? t.images * t.rows : 0;
  std::int64_t row = 0;
  // Two rows of one image lie as far apart in the patch as two of the result do.
  if (kMostRows == 2 && t.rows % 2 == 0) {
    for (; row < rows; row += 2) multiply_rows<kSpread, kMostRows>(s, t, v, target, pixels.columns, row);
  }
  for (; row < rows; ++row) multiply_rows<kSpread, 1>(s, t, v, target, pixels.columns, row);
  multiply_list<kSpread>(s, t, v, target, pixels.list, pixels.count);
}

void multiply(const SkipShape& s, const SkipTile& t, std::int64_t vector, const SkipVector& v, const SkipPixels& pixels,
              bool conditional) {
  const Word* const open = static_cast<const Word*>(t.open) + vector * t.pixels;
  const Target target{t.sums + vector * kNativeLanes, s.dst_pitch, conditional ? open : nullptr};
  if (!v.spread) return multiply_all<kSame>(s, t, v, target, pixels);
  if (s.src_chunk == s.dst_chunk) {
    switch (s.src_chunk) {
      case 1:
        return multiply_all<1>(s, t, v, target, pixels);
      case 2:
        return multiply_all<2>(s, t, v, target, pixels);
      case 4:
        if constexpr (kNativeLanes > 4) return multiply_all<4>(s, t, v, target, pixels);
    }
  }
  if constexpr (kNativeLanes == 16) multiply_all<kIndexed>(s, t, v, target, pixels);
}

}  // namespace

extern const SkipKernels skip{kNativeLanes, sizeof(Word), multiply, skip_decide, skip_split, skip_list, skip_dot};

}  // namespace sluice::SLUICE_ISA
