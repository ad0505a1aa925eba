// Sums of products of levels for some pixels and one vector of outputs, for one instruction set.
#pragma once

#include <type_traits>

#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

constexpr int kLevelRun = 8;  ///< pixels at a time

/// Units of two channels in 16 bits, signed.
struct LevelPairs {
  static constexpr bool kShort = false;
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) { add_pairs(sum, weights, x); }
};

/// Units of four channels in bytes: 0 to 127, times signed bytes. Short sums stand in 16 bits.
struct LevelQuads {
  static constexpr bool kShort = kAddsShort;
  static SLUICE_INLINE void add(NativeI16& sum, NativeI32 weights, NativeI32 x) { add_short_quads(sum, weights, x); }
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) { add_quads(sum, weights, x); }
};

/// What is summed: `units` of each pixel of a patch, whose pixels lie `pitch` apart and its rows `row`. `together`: so
/// many units give short sums that fit.
struct LevelOperands {
  std::int64_t units, pitch, row, together;
};

SLUICE_INLINE NativeI32 repeat_unit(std::int32_t x) {
  return x - NativeI32{};
}
SLUICE_INLINE NativeI32 load_weights(const std::int32_t* p) {
  return load_native<NativeI32>(p);
}

/// Calls add(first unit, number, sums) for all units of a pixel, or for as many as short sums can hold, which it then
/// takes over. `each`: how many products a unit adds to a sum.
template <class N, class Add>
SLUICE_INLINE void add_units(const LevelOperands& o, std::int64_t each, NativeI32 (&sums)[kLevelRun], Add&& add) {
  if constexpr (N::kShort) {
    const std::int64_t most = o.together / each;
    for (std::int64_t u = 0; u < o.units; u += most) {
      NativeI16 parts[kLevelRun];
#pragma GCC unroll 8
      for (int i = 0; i < kLevelRun; ++i) parts[i] = NativeI16{};
      add(u, most < o.units - u ? most : o.units - u, parts);
#pragma GCC unroll 8
      for (int i = 0; i < kLevelRun; ++i) add_short(sums[i], parts[i]);
    }
  } else {
    add(std::int64_t{0}, o.units, sums);
  }
}

/// Adds those of a filter 3x3 at stride 1 for pixels side by side, whose first taps begin at `src`: each unit of a row
/// serves up to three of them. Weights [tap][unit][lane].
template <class N>
SLUICE_INLINE void add_run(const LevelOperands& o, const std::int32_t* src, const std::int32_t* weights,
                           NativeI32 (&sums)[kLevelRun]) {
  const std::int64_t tap = o.units * kNativeLanes;
  for (int ky = 0; ky < 3; ++ky, src += o.row, weights += 3 * tap) {
    add_units<N>(
        o, 3, sums, [&](std::int64_t first, std::int64_t count, auto& part) __attribute__((always_inline)) {
          const std::int32_t *at = src + first, *w = weights + first * kNativeLanes;
          for (const std::int32_t* const end = at + count; at < end; ++at, w += kNativeLanes) {
            const NativeI32 left = load_weights(w), middle = load_weights(w + tap), right = load_weights(w + 2 * tap);
            std::int64_t o1 = o.pitch, o3 = 3 * o.pitch, o5 = 5 * o.pitch, o7 = 7 * o.pitch, o9 = 9 * o.pitch;
            asm("" : "+r"(o1), "+r"(o3), "+r"(o5), "+r"(o7), "+r"(o9));  // five numbers address ten pixels
            const std::int64_t places[10] = {0, o1, 2 * o1, o3, 4 * o1, o5, 2 * o3, o7, 8 * o1, o9};
#pragma GCC unroll 10
            for (int i = 0; i < kLevelRun + 2; ++i) {
              const NativeI32 x = repeat_unit(at[places[i]]);
              if (i < kLevelRun) N::add(part[i], left, x);
              if (i > 0 && i <= kLevelRun) N::add(part[i - 1], middle, x);
              if (i > 1) N::add(part[i - 2], right, x);
            }
          }
        });
  }
}

/// The same of any filter for any pixels.
template <class N>
SLUICE_INLINE void add_pixels(const LevelOperands& o, std::int64_t kernel, std::int64_t dilation,
                              const std::int32_t* const (&src)[kLevelRun], const std::int32_t* weights,
                              NativeI32 (&sums)[kLevelRun]) {
  for (std::int64_t ky = 0; ky < kernel; ++ky) {
    for (std::int64_t kx = 0; kx < kernel; ++kx, weights += o.units * kNativeLanes) {
      const std::int64_t tap = dilation * (ky * o.row + kx * o.pitch);
      add_units<N>(
          o, 1, sums, [&](std::int64_t first, std::int64_t count, auto& part) __attribute__((always_inline)) {
            const std::int32_t* w = weights + first * kNativeLanes;
            for (std::int64_t u = tap + first; u < tap + first + count; ++u, w += kNativeLanes) {
              const NativeI32 own = load_weights(w);
#pragma GCC unroll 8
              for (int i = 0; i < kLevelRun; ++i) N::add(part[i], own, repeat_unit(src[i][u]));
            }
          });
    }
  }
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
