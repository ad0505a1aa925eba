// Products of whole numbers, summed in lanes of 32 bits, for one instruction set.
#pragma once

#include "core/base/simd.hpp"

namespace sluice::SLUICE_ISA::simd {

/// One value in every lane.
SLUICE_INLINE NativeF32 broadcast(float x) {
  return x - NativeF32{};
}

/// Each lane of `sum` gets the products of two signed numbers of 16 bits.
SLUICE_INLINE void add_pairs(NativeI32& sum, NativeI32 weights, NativeI32 x) {
#if defined(__AVX512VNNI__)
  sum = reinterpret_cast<NativeI32>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x),
                                                        reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX512F__)
  sum +=
      reinterpret_cast<NativeI32>(_mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX2__)
  sum +=
      reinterpret_cast<NativeI32>(_mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(weights)));
#elif defined(__SSE2__)
  sum += reinterpret_cast<NativeI32>(_mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(weights)));
#else
  sum += (x >> 16) * (weights >> 16) + ((x << 16) >> 16) * ((weights << 16) >> 16);
#endif
}

/// Each lane of `sum` gets the products of four numbers from 0 to 127 (x) and four signed bytes: two such products fit
/// 16 bits, in which some processors add them.
SLUICE_INLINE void add_quads(NativeI32& sum, NativeI32 weights, NativeI32 x) {
#if defined(__AVX512VNNI__)
  sum = reinterpret_cast<NativeI32>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x),
                                                        reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX512F__)
  const __m512i pairs = _mm512_maddubs_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(weights));
  sum += reinterpret_cast<NativeI32>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#elif defined(__AVX2__)
  const __m256i pairs = _mm256_maddubs_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(weights));
  sum += reinterpret_cast<NativeI32>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif defined(__SSSE3__)
  const __m128i pairs = _mm_maddubs_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(weights));
  sum += reinterpret_cast<NativeI32>(_mm_madd_epi16(pairs, _mm_set1_epi16(1)));
#else
  for (int byte = 0; byte < 32; byte += 8) sum += ((x >> byte) & 0xff) * ((weights << (24 - byte)) >> 24);
#endif
}

// The same with sums of two products each in 16 bits, for as long as these fit: a third less work where a processor has
// no instruction for four products.
#if defined(__SSSE3__) && !defined(__AVX512VNNI__)
constexpr bool kAddsShort = true;
#else
constexpr bool kAddsShort = false;
#endif
typedef std::int16_t NativeI16 __attribute__((vector_size(kNativeBytes)));

SLUICE_INLINE void add_short_quads([[maybe_unused]] NativeI16& sum, [[maybe_unused]] NativeI32 weights,
                                   [[maybe_unused]] NativeI32 x) {
#if defined(__AVX512F__)
  sum += reinterpret_cast<NativeI16>(
      _mm512_maddubs_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX2__)
  sum += reinterpret_cast<NativeI16>(
      _mm256_maddubs_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(weights)));
#elif defined(__SSSE3__)
  sum +=
      reinterpret_cast<NativeI16>(_mm_maddubs_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(weights)));
#endif
}
/// Takes such sums over.
SLUICE_INLINE void add_short(NativeI32& sum, NativeI16 part) {
  NativeI32 ones{};
  ones += 0x10001;
  add_pairs(sum, ones, reinterpret_cast<NativeI32>(part));
}

}  // namespace sluice::SLUICE_ISA::simd
