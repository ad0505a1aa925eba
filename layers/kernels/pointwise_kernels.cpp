// Element by element over flat arrays, for one instruction set.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

template <class T>
void add(std::int64_t n, const T* a, const T* b, T* dst) {
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        put<whole.value>(dst + i, get<whole.value>(a + i, lanes) + get<whole.value>(b + i, lanes), lanes);
      });
}

template <class T>
void clip(std::int64_t n, const T* src, T* dst, Clip c) {
  const F32 low = set(c.low), high = set(c.high);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 v = get<whole.value>(src + i, lanes);
        put<whole.value>(dst + i, simd::clip(v, low, high), lanes);
      });
}

template <class T>
void clip_backward(std::int64_t n, const T* src, const T* diff_dst, T* diff_src, Clip c) {
  const F32 low = set(c.low), high = set(c.high);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 v = get<whole.value>(src + i, lanes);
        put<whole.value>(diff_src + i, keep_between(get<whole.value>(diff_dst + i, lanes), v, low, high), lanes);
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
