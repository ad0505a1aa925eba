// Sixteen floats at a time, written once for every instruction set: the compiler lowers these to SSE, AVX or AVX-512.
// Included only by kernel files, which are compiled once for each Isa; everything here is force-inlined so that no copy
// of one instruction set's code is shared with another's.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"

#define SLUICE_INLINE inline __attribute__((always_inline))

namespace sluice::simd {

constexpr int kLanes = 16;

typedef float F32 __attribute__((vector_size(64)));
typedef std::int32_t I32 __attribute__((vector_size(64)));
typedef std::uint32_t U32 __attribute__((vector_size(64)));
typedef float F32u __attribute__((vector_size(64), aligned(4), may_alias));
typedef std::uint16_t U16 __attribute__((vector_size(32)));
typedef std::uint16_t U16u __attribute__((vector_size(32), aligned(2), may_alias));

SLUICE_INLINE F32 load(const float* p) {
  return *reinterpret_cast<const F32u*>(p);
}
SLUICE_INLINE void store(float* p, F32 x) {
  *reinterpret_cast<F32u*>(p) = x;
}

SLUICE_INLINE F32 load(const BFloat16* p) {
  const U16 half = *reinterpret_cast<const U16u*>(p);
  return reinterpret_cast<F32>(__builtin_convertvector(half, U32) << 16);
}
// Round to nearest, ties to even; a NaN stays a NaN.
SLUICE_INLINE void store(BFloat16* p, F32 x) {
  const U32 bits = reinterpret_cast<U32>(x);
  const U32 rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const U32 nan = (bits >> 16) | 0x40U;
  const U32 chosen = reinterpret_cast<U32>(x == x ? reinterpret_cast<I32>(rounded) : reinterpret_cast<I32>(nan));
  *reinterpret_cast<U16u*>(p) = __builtin_convertvector(chosen, U16);
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

SLUICE_INLINE F32 set(float x) {
  return x - F32{};
}
// x where low < v < high, else 0. (Two nested selections: GCC splits a conjunction of 64-byte comparisons into scalars.)
SLUICE_INLINE F32 keep_between(F32 x, F32 v, F32 low, F32 high) {
  const F32 below = v < high ? x : F32{};
  return v > low ? below : F32{};
}

SLUICE_INLINE F32 min(F32 a, F32 b) {
  return a < b ? a : b;
}
SLUICE_INLINE F32 max(F32 a, F32 b) {
  return a > b ? a : b;
}

}  // namespace sluice::simd
