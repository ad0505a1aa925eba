// Native vectors and words of gates, for the files of kernels that skip.
#pragma once

#include <type_traits>

#include "core/base/simd.hpp"
#include "gating/kernels/skip_kernels.hpp"
#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA::simd {

/// A bit for each lane.
using Word = std::conditional_t<kNativeLanes == 16, std::uint16_t, std::uint8_t>;

template <class T>
SLUICE_INLINE NativeF32 load_f32(const T* p) {
  return load_part(p);
}
SLUICE_INLINE NativeF32 load_f32(const std::uint8_t* p) {
  return __builtin_convertvector(reinterpret_cast<NativeI32>(load_widened(p)), NativeF32);
}

/// The first lanes, zeros behind them.
template <class T>
SLUICE_INLINE NativeF32 load_first(const T* p, std::int64_t lanes) {
  if (lanes >= kNativeLanes) return load_f32(p);
  T padded[kNativeLanes] = {};
  for (std::int64_t l = 0; l < lanes; ++l) padded[l] = p[l];
  return load_f32(padded);
}

/// Calls step(channel, pixel, count, at) for each vector of a tile's outputs, image by image: `count` pixels from
/// `pixel` on, the first of which stands `at` elements behind the result's beginning, the next ones dst_block further.
template <class Step>
SLUICE_INLINE void for_results(const SkipShape& s, const SkipTile& t, Step&& step) {
  const std::int64_t plane = s.dst_height * s.dst_width, count = t.rows * s.dst_width;
  for (std::int64_t n = 0; n < t.images; ++n) {
    for (std::int64_t channel = t.vector * kNativeLanes; channel < t.end_vector * kNativeLanes;
         channel += kNativeLanes) {
      const std::int64_t inside = channel % s.dst_block, block = channel - inside;
      const std::int64_t image = (t.image + n) * s.dst_channels + block;
      step(channel, n * count, count, image * plane + t.row * s.dst_width * s.dst_block + inside);
    }
  }
}

SLUICE_INLINE NativeI32 lane_numbers() {
  NativeI32 r;
  for (int l = 0; l < kNativeLanes; ++l) r[l] = l;
  return r;
}

/// Where a > b; nowhere if either is a NaN.
SLUICE_INLINE unsigned greater(NativeF32 a, NativeF32 b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), _CMP_GT_OQ);
#elif defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(a > b)));
#elif defined(__SSE2__)
  return static_cast<unsigned>(_mm_movemask_ps(reinterpret_cast<__m128>(a > b)));
#else
  unsigned bits = 0;
  for (int l = 0; l < kNativeLanes; ++l) bits |= a[l] > b[l] ? 1U << l : 0U;
  return bits;
#endif
}

/// yes in lanes whose bit is set, else no.
SLUICE_INLINE NativeF32 select(unsigned bits, NativeF32 yes, NativeF32 no) {
#if defined(__AVX512F__)
  return reinterpret_cast<NativeF32>(
      _mm512_mask_blend_ps(static_cast<__mmask16>(bits), reinterpret_cast<__m512>(no), reinterpret_cast<__m512>(yes)));
#else
  NativeI32 own;
  for (int l = 0; l < kNativeLanes; ++l) own[l] = 1 << l;
  return ((static_cast<std::int32_t>(bits) - NativeI32{}) & own) == own ? yes : no;
#endif
}

constexpr float kNoFraction = 12582912.0F;  // 1.5 2^23: behind it a float has no fraction

template <class T>
SLUICE_INLINE void store_f32(T* p, NativeF32 x) {
  store_part(p, x);
}
SLUICE_INLINE void store_f32(std::uint8_t* p, NativeF32 x) {
  store_narrowed(p, reinterpret_cast<NativeU32>(x + kNoFraction));
}
/// What is no number stays so in floats, and becomes the lowest in int8.
template <class T, class X>
SLUICE_INLINE X clip(X x, X low, X high) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    x = x > low ? x : low;
  } else {
    x = x < low ? low : x;
  }
  return x > high ? high : x;
}

}  // namespace sluice::SLUICE_ISA::simd
