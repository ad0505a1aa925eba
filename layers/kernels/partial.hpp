// Loads and stores of up to 16 channels: whole vectors, or the first `lanes` through a padded copy. For kernel files.
#pragma once

#include "core/base/simd.hpp"

namespace sluice::SLUICE_ISA::simd {

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

// Small unsigned numbers of one or two bytes, one for each lane.
template <class Index>
SLUICE_INLINE I32 load_index(const Index* p) {
  I32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = reinterpret_cast<NativeI32>(load_widened(p + k * kNativeLanes));
  return r;
}
template <class Index>
SLUICE_INLINE void store_index(Index* p, I32 x) {
  for (int k = 0; k < kParts; ++k) store_narrowed(p + k * kNativeLanes, reinterpret_cast<NativeU32>(x.part[k]));
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

}  // namespace sluice::SLUICE_ISA::simd
