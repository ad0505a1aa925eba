// Loads and stores of up to 16 channels: whole vectors, or the first `lanes` through a padded copy. For kernel files.
#pragma once

#include "core/base/simd.hpp"

namespace sluice::simd {

typedef std::uint8_t U8 __attribute__((vector_size(16)));
typedef std::uint8_t U8u __attribute__((vector_size(16), aligned(1), may_alias));

template <bool kWhole, class T>
SLUICE_INLINE F32 get(const T* p, int lanes) {
  return kWhole ? load(p) : load_n(p, lanes);
}
template <bool kWhole, class T>
SLUICE_INLINE void put(T* p, F32 x, int lanes) {
  if (kWhole) {
    store(p, x);
  } else {
    store_n(p, x, lanes);
  }
}

// Small unsigned numbers, one for each lane.
SLUICE_INLINE I32 load_index(const std::uint8_t* p) {
  return __builtin_convertvector(static_cast<U8>(*reinterpret_cast<const U8u*>(p)), I32);
}
SLUICE_INLINE I32 load_index(const std::uint16_t* p) {
  return __builtin_convertvector(static_cast<U16>(*reinterpret_cast<const U16u*>(p)), I32);
}
SLUICE_INLINE void store_index(std::uint8_t* p, I32 x) {
  *reinterpret_cast<U8u*>(p) = __builtin_convertvector(x, U8);
}
SLUICE_INLINE void store_index(std::uint16_t* p, I32 x) {
  *reinterpret_cast<U16u*>(p) = __builtin_convertvector(x, U16);
}

template <bool kWhole, class Index>
SLUICE_INLINE I32 get_index(const Index* p, int lanes) {
  if (kWhole) return load_index(p);
  Index padded[kLanes] = {};
  for (int i = 0; i < lanes; ++i) padded[i] = p[i];
  return load_index(padded);
}
template <bool kWhole, class Index>
SLUICE_INLINE void put_index(Index* p, I32 x, int lanes) {
  if (kWhole) return store_index(p, x);
  Index padded[kLanes];
  store_index(padded, x);
  for (int i = 0; i < lanes; ++i) p[i] = padded[i];
}

}  // namespace sluice::simd
