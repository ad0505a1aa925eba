// Element by element over flat arrays, for one instruction set.
#include "core/base/simd.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

// Calls body(i, lanes) for whole vectors and once for the rest.
template <class Body>
SLUICE_INLINE void for_vectors(std::int64_t n, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, std::true_type{}, kLanes);
  if (i < n) body(i, std::false_type{}, static_cast<int>(n - i));
}

template <class Whole, class T>
SLUICE_INLINE F32 get(Whole, const T* p, int lanes) {
  return Whole::value ? load(p) : load_n(p, lanes);
}
template <class Whole, class T>
SLUICE_INLINE void put(Whole, T* p, F32 x, int lanes) {
  if (Whole::value) {
    store(p, x);
  } else {
    store_n(p, x, lanes);
  }
}

template <class T>
void add(std::int64_t n, const T* a, const T* b, T* dst) {
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        put(whole, dst + i, get(whole, a + i, lanes) + get(whole, b + i, lanes), lanes);
      });
}

template <class T>
void clip(std::int64_t n, const T* src, T* dst, Clip c) {
  const F32 low = set(c.low), high = set(c.high);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 v = get(whole, src + i, lanes);
        put(whole, dst + i, simd::clip(v, low, high), lanes);
      });
}

template <class T>
void clip_backward(std::int64_t n, const T* src, const T* diff_dst, T* diff_src, Clip c) {
  const F32 low = set(c.low), high = set(c.high);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 v = get(whole, src + i, lanes);
        put(whole, diff_src + i, keep_between(get(whole, diff_dst + i, lanes), v, low, high), lanes);
      });
}

template <class T>
constexpr PointwiseKernels<T> table() {
  return {add<T>, clip<T>, clip_backward<T>};
}

}  // namespace

extern const PointwiseKernels<float> pointwise_f32 = table<float>();
extern const PointwiseKernels<BFloat16> pointwise_bf16 = table<BFloat16>();

}  // namespace sluice::SLUICE_ISA
