// Levels in bytes to and from floats, for one instruction set.
#pragma once

#include <type_traits>

#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA::simd {

SLUICE_INLINE NativeF32 widened(const std::uint8_t* from) {
  return __builtin_convertvector(reinterpret_cast<NativeI32>(load_widened(from)), NativeF32);
}

// a > b ? a : b, and a < b ? a : b: of what is no number the second one. (GCC compares and selects.)
SLUICE_INLINE NativeF32 larger(NativeF32 a, NativeF32 b) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(kAll, a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#elif defined(__SSE2__)
  return _mm_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
SLUICE_INLINE NativeF32 smaller(NativeF32 a, NativeF32 b) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(kAll, a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#elif defined(__SSE2__)
  return _mm_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}

/// x from low to high; what is no number stays it in floats, and is low in bytes.
template <class T>
SLUICE_INLINE NativeF32 clipped(NativeF32 x, NativeF32 low, NativeF32 high) {
  if constexpr (std::is_same_v<T, float>) return smaller(high, larger(low, x));
  return smaller(larger(x, low), high);
}

SLUICE_INLINE void store(float* to, NativeF32 x) {
  store_part(to, x);
}
/// Of numbers from 0 to 127, ties to even. (Behind 2^23 floats are whole: the lowest byte is the number.)
SLUICE_INLINE void store(std::uint8_t* to, NativeF32 x) {
  store_narrowed(to, reinterpret_cast<NativeU32>(x + broadcast(8388608.0F)));
}

}  // namespace sluice::SLUICE_ISA::simd
