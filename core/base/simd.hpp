// Sixteen floats at a time, written once for every instruction set. Included only by kernel files, which are compiled
// once for each Isa; everything here is force-inlined, in a namespace of its own for each, so that no copy of one
// instruction set's code is shared with another's.
#pragma once

#include <cstdint>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "core/base/bfloat16.hpp"

#define SLUICE_INLINE inline __attribute__((always_inline))

namespace sluice::SLUICE_ISA::simd {

constexpr int kLanes = 16;

// The processor's own vectors. (GCC accepts wider ones, but compares them one lane at a time and keeps them in memory.)
#if defined(__AVX512F__)
constexpr int kNativeBytes = 64;
#elif defined(__AVX2__)
constexpr int kNativeBytes = 32;
#else
constexpr int kNativeBytes = 16;
#endif
constexpr int kParts = 64 / kNativeBytes;
constexpr int kNativeLanes = kLanes / kParts;

typedef float NativeF32 __attribute__((vector_size(kNativeBytes)));
typedef std::int32_t NativeI32 __attribute__((vector_size(kNativeBytes)));
typedef std::uint32_t NativeU32 __attribute__((vector_size(kNativeBytes)));

/// Sixteen lanes in as many native vectors as that takes.
template <class Native>
struct Vector {
  using Part = Native;
  Native part[kParts];
  SLUICE_INLINE auto operator[](int lane) const { return part[lane / kNativeLanes][lane % kNativeLanes]; }
};
using F32 = Vector<NativeF32>;
using I32 = Vector<NativeI32>;
using U32 = Vector<NativeU32>;

#define SLUICE_VECTOR_OPERATOR(op)                                       \
  template <class V>                                                     \
  SLUICE_INLINE Vector<V> operator op(Vector<V> a, Vector<V> b) {        \
    for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] op b.part[k]; \
    return a;                                                            \
  }                                                                      \
  template <class V>                                                     \
  SLUICE_INLINE Vector<V>& operator op##=(Vector<V>& a, Vector<V> b) {   \
    for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] op b.part[k]; \
    return a;                                                            \
  }
SLUICE_VECTOR_OPERATOR(+)
SLUICE_VECTOR_OPERATOR(-)
SLUICE_VECTOR_OPERATOR(*)
SLUICE_VECTOR_OPERATOR(&)
SLUICE_VECTOR_OPERATOR(|)
SLUICE_VECTOR_OPERATOR(^)
#undef SLUICE_VECTOR_OPERATOR

template <class V>
SLUICE_INLINE Vector<V> operator<<(Vector<V> a, int bits) {
  for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] << bits;
  return a;
}
template <class V>
SLUICE_INLINE Vector<V> operator>>(Vector<V> a, int bits) {
  for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] >> bits;
  return a;
}

/// The same bits as lanes of another type.
template <class To, class V>
SLUICE_INLINE To bits_as(Vector<V> x) {
  To r;
  for (int k = 0; k < kParts; ++k) r.part[k] = reinterpret_cast<typename To::Part>(x.part[k]);
  return r;
}

// One value in every lane.
SLUICE_INLINE F32 set(float x) {
  F32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = x - NativeF32{};
  return r;
}
SLUICE_INLINE I32 set(std::int32_t x) {
  I32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = x - NativeI32{};
  return r;
}
SLUICE_INLINE U32 set(std::uint32_t x) {
  U32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = x - NativeU32{};
  return r;
}

// a > b ? yes : no, lane by lane; no where either is a NaN.
SLUICE_INLINE F32 if_greater(F32 a, F32 b, F32 yes, F32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = a.part[k] > b.part[k] ? yes.part[k] : no.part[k];
  return no;
}
SLUICE_INLINE I32 if_greater(F32 a, F32 b, I32 yes, I32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = a.part[k] > b.part[k] ? yes.part[k] : no.part[k];
  return no;
}
// a >= b ? yes : no; no where either is a NaN.
SLUICE_INLINE F32 if_greater_equal(F32 a, F32 b, F32 yes, F32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = a.part[k] >= b.part[k] ? yes.part[k] : no.part[k];
  return no;
}
// a == b ? yes : no.
SLUICE_INLINE F32 if_equal(I32 a, I32 b, F32 yes, F32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = a.part[k] == b.part[k] ? yes.part[k] : no.part[k];
  return no;
}
// x is a NaN ? yes : no.
SLUICE_INLINE F32 if_nan(F32 x, F32 yes, F32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = x.part[k] == x.part[k] ? no.part[k] : yes.part[k];
  return no;
}
SLUICE_INLINE I32 if_nan(F32 x, I32 yes, I32 no) {
  for (int k = 0; k < kParts; ++k) no.part[k] = x.part[k] == x.part[k] ? no.part[k] : yes.part[k];
  return no;
}

template <class V, class Element>
SLUICE_INLINE V load_native(const Element* p) {
  typedef V Unaligned __attribute__((aligned(1), may_alias));
  return *reinterpret_cast<const Unaligned*>(p);
}
template <class V, class Element>
SLUICE_INLINE void store_native(Element* p, V x) {
  typedef V Unaligned __attribute__((aligned(1), may_alias));
  *reinterpret_cast<Unaligned*>(p) = x;
}

// One native vector of floats.
SLUICE_INLINE NativeF32 load_part(const float* p) {
  return load_native<NativeF32>(p);
}
SLUICE_INLINE void store_part(float* p, NativeF32 x) {
  store_native(p, x);
}

SLUICE_INLINE F32 load(const float* p) {
  F32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = load_part(p + k * kNativeLanes);
  return r;
}
SLUICE_INLINE void store(float* p, F32 x) {
  for (int k = 0; k < kParts; ++k) store_part(p + k * kNativeLanes, x.part[k]);
}

// A native vector's worth of smaller unsigned numbers, widened, and back. (GCC converts by halves and quarters, and
// warns about the intrinsics without a mask.)
#ifdef __AVX512F__
constexpr __mmask16 kAll = 0xffff;
#endif
template <class Small>
SLUICE_INLINE NativeU32 load_widened(const Small* p) {
#if defined(__AVX512F__)
  if (sizeof(Small) == 1) return reinterpret_cast<NativeU32>(_mm512_maskz_cvtepu8_epi32(kAll, load_native<__m128i>(p)));
  return reinterpret_cast<NativeU32>(_mm512_maskz_cvtepu16_epi32(kAll, load_native<__m256i>(p)));
#elif defined(__AVX2__)
  if (sizeof(Small) == 1) return reinterpret_cast<NativeU32>(_mm256_cvtepu8_epi32(_mm_loadu_si64(p)));
  return reinterpret_cast<NativeU32>(_mm256_cvtepu16_epi32(load_native<__m128i>(p)));
#elif defined(__SSE4_1__)
  if (sizeof(Small) == 1) return reinterpret_cast<NativeU32>(_mm_cvtepu8_epi32(_mm_loadu_si32(p)));
  return reinterpret_cast<NativeU32>(_mm_cvtepu16_epi32(_mm_loadu_si64(p)));
#else
  typedef Small Native __attribute__((vector_size(kNativeLanes * sizeof(Small))));
  return __builtin_convertvector(load_native<Native>(p), NativeU32);
#endif
}
#if defined(__SSSE3__) && !defined(__AVX512F__)
// (GCC takes the lanes one by one.)
SLUICE_INLINE void store_low_bytes(void* p, NativeU32 x) {
  const __m128i first = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
#ifdef __AVX2__
  const __m256i picked = _mm256_shuffle_epi8(reinterpret_cast<__m256i>(x), _mm256_broadcastsi128_si256(first));
  _mm_storeu_si64(p, _mm_unpacklo_epi32(_mm256_castsi256_si128(picked), _mm256_extracti128_si256(picked, 1)));
#else
  _mm_storeu_si32(p, _mm_shuffle_epi8(reinterpret_cast<__m128i>(x), first));
#endif
}
#endif
template <class Small>
SLUICE_INLINE void store_narrowed(Small* p, NativeU32 x) {
#if defined(__AVX512F__)
  const __m512i wide = reinterpret_cast<__m512i>(x);
  if (sizeof(Small) == 1) return store_native(p, _mm512_maskz_cvtepi32_epi8(kAll, wide));
  store_native(p, _mm512_maskz_cvtepi32_epi16(kAll, wide));
#else
#ifdef __SSSE3__
  if (sizeof(Small) == 1) return store_low_bytes(p, x);
#endif
  typedef Small Native __attribute__((vector_size(kNativeLanes * sizeof(Small))));
  store_native(p, __builtin_convertvector(x, Native));
#endif
}

SLUICE_INLINE NativeF32 load_part(const BFloat16* p) {
  return reinterpret_cast<NativeF32>(load_widened(&p->bits) << 16);
}
// Round to nearest, ties to even; a NaN stays a NaN.
SLUICE_INLINE void store_part(BFloat16* p, NativeF32 x) {
  const NativeU32 bits = reinterpret_cast<NativeU32>(x);
  const NativeU32 rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const NativeU32 nan = (bits >> 16) | 0x40U;
  store_narrowed(&p->bits, x == x ? rounded : nan);
}

SLUICE_INLINE F32 load(const BFloat16* p) {
  F32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = load_part(p + k * kNativeLanes);
  return r;
}
SLUICE_INLINE void store(BFloat16* p, F32 x) {
  for (int k = 0; k < kParts; ++k) store_part(p + k * kNativeLanes, x.part[k]);
}

// Partial vectors: the first n lanes, zeros behind them.
template <class T>
SLUICE_INLINE F32 load_n(const T* p, int n) {
  alignas(64) T lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class T>
SLUICE_INLINE void store_n(T* p, F32 x, int n) {
  alignas(64) T lanes[kLanes];
  store(lanes, x);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

// x where low < v < high, else 0.
SLUICE_INLINE F32 keep_between(F32 x, F32 v, F32 low, F32 high) {
  return if_greater(v, low, if_greater(high, v, x, F32{}), F32{});
}
// low where v < low, high where v > high, else v; a NaN goes through.
SLUICE_INLINE F32 clip(F32 v, F32 low, F32 high) {
  return if_greater(low, v, low, if_greater(v, high, high, v));
}
SLUICE_INLINE F32 min(F32 a, F32 b) {
  return if_greater(b, a, a, b);
}
SLUICE_INLINE F32 max(F32 a, F32 b) {
  return if_greater(a, b, a, b);
}

}  // namespace sluice::SLUICE_ISA::simd
