// Native vectors and words of gates, for the files of kernels that skip.
#pragma once

#include <type_traits>

#include "core/base/simd.hpp"
#include "gating/kernels/skip_kernels.hpp"

namespace sluice::SLUICE_ISA::simd {

/// A bit for each lane.
using Word = std::conditional_t<kNativeLanes == 16, std::uint16_t, std::uint8_t>;

SLUICE_INLINE NativeF32 broadcast(float x) {
  return x - NativeF32{};
}
template <class T>
SLUICE_INLINE NativeF32 load_f32(const T* p) {
  return load_part(p);
}
SLUICE_INLINE NativeF32 load_f32(const std::uint8_t* p) {
  return __builtin_convertvector(reinterpret_cast<NativeI32>(load_widened(p)), NativeF32);
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
