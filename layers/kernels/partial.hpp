// What kernel files share. Loads and stores of up to 16 channels: whole vectors, or the first `lanes` through a padded
// copy.
#pragma once

#include <type_traits>

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

/// Calls body(i, whole, lanes) for whole vectors of a flat array and once for the rest; `whole` is a constant.
template <class Body>
SLUICE_INLINE void for_vectors(std::int64_t n, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, std::true_type{}, kLanes);
  if (i < n) body(i, std::false_type{}, static_cast<int>(n - i));
}

SLUICE_INLINE F32 divide(F32 a, F32 b) {
  for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] / b.part[k];
  return a;
}

/// Rows summed in fp32 before the sum goes on in double.
constexpr std::int64_t kSummedInSingle = 256;

SLUICE_INLINE void widen_add(double* sum, F32 x, int lanes) {
  for (int i = 0; i < lanes; ++i) sum[i] += static_cast<double>(x[i]);
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
