// The units of which the patch and the weights of a convolution that skips consist (SkipUnits).
#pragma once

#include "gating/kernels/skip_kernels_detail.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Units of floats: one channel each.
struct Floats {
  using Unit = float;
  using Result = float;  ///< of what goes where it belongs at once
  using Native = NativeF32;
  static constexpr bool kExact = false, kReplaces = false;
  static SLUICE_INLINE NativeF32 repeat(float x) { return broadcast(x); }
  static SLUICE_INLINE void add(NativeF32& sum, NativeF32 weights, NativeF32 x) { sum += weights * x; }
  static SLUICE_INLINE NativeF32 result(NativeF32 sum) { return sum; }
};

/// Units of int8: four channels each, 0 to 127, times signed ones. Two such products fit 16 bits.
struct Int8 {
  using Unit = std::int32_t;
  using Result = std::uint8_t;
  using Native = NativeI32;
  static constexpr bool kExact = true, kReplaces = false;
  static SLUICE_INLINE NativeI32 repeat(std::int32_t x) { return x - NativeI32{}; }
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) {
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
  static SLUICE_INLINE NativeF32 result(NativeI32 sum) {
    return __builtin_convertvector(sum, NativeF32);
  }
};

/// Units of levels: two channels each, signed numbers of 16 bits on both sides.
struct Levels {
  using Unit = std::int32_t;
  using Result = float;
  using Native = NativeI32;
  static constexpr bool kExact = true, kReplaces = true;
  static SLUICE_INLINE NativeI32 repeat(std::int32_t x) { return x - NativeI32{}; }
  static SLUICE_INLINE void add(NativeI32& sum, NativeI32 weights, NativeI32 x) {
#if defined(__AVX512VNNI__)
    sum = reinterpret_cast<NativeI32>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x),
                                                          reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX512F__)
    sum += reinterpret_cast<NativeI32>(
        _mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX2__)
    sum += reinterpret_cast<NativeI32>(
        _mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(weights)));
#elif defined(__SSE2__)
    sum +=
        reinterpret_cast<NativeI32>(_mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(weights)));
#else
    sum += (x >> 16) * (weights >> 16) + ((x << 16) >> 16) * ((weights << 16) >> 16);
#endif
  }
  static SLUICE_INLINE NativeF32 result(NativeI32 sum) {
    return __builtin_convertvector(sum, NativeF32);
  }
};

template <class N>
SLUICE_INLINE typename N::Native load_units(const typename N::Unit* p) {
  return load_native<typename N::Native>(p);
}

/// How far behind an image's first element that of a channel is.
SLUICE_INLINE std::int64_t channel_offset(const SkipShape& s, std::int64_t channel) {
  return channel / s.dst_block * s.dst_block * s.dst_height * s.dst_width + channel % s.dst_block;
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
