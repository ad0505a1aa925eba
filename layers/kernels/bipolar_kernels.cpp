// Rounding to bipolar levels, for one instruction set.
#include "layers/kernels/bipolar_tables.hpp"
#include "layers/kernels/partial.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// The nearest whole number, ties to even, of 0 <= x < 2^22.
SLUICE_INLINE F32 nearest_number(F32 x) {
  const F32 shifter = set(8388608.0F);  // 2^23: floats above it are whole
  return x + shifter - shifter;
}

/// k, from 0 to 2 half.
SLUICE_INLINE F32 bipolar_number(F32 x, F32 half) {
  const F32 one = set(1.0F);
  return nearest_number((clip(x, F32{} - one, one) + one) * half);
}

template <class T, class L>
void round_bipolar(std::int64_t n, const T* src, float count, L* levels) {
  const F32 half = set(count / 2), most = set(count);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 number = bipolar_number(get<whole.value>(src + i, lanes), half);
        put<whole.value>(levels + i, number + number - most, lanes);
      });
}

template <class T, class L>
void split_bipolar(std::int64_t n, const T* src, float count, float step, L* base, L* rest) {
  const F32 half = set(count / 2), width = set(step), share = set(1.0F / step), middle = set(step - 1),
            lowest = set(step - 1 - count), one = set(1.0F);
  for_vectors(
      n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
        const F32 number = bipolar_number(get<whole.value>(src + i, lanes), half), steps = number * share;
        const F32 nearest = nearest_number(steps), below = nearest - if_greater(nearest, steps, one, F32{});
        const F32 kept = below * width, cut = number - kept;
        put<whole.value>(base + i, kept + kept + lowest, lanes);
        put<whole.value>(rest + i, cut + cut - middle, lanes);
      });
}

template <class T, class L>
constexpr BipolarKernels<T, L> bipolar_table() {
  return {round_bipolar<T, L>, split_bipolar<T, L>};
}

}  // namespace

extern const BipolarKernels<float, float> bipolar_f32 = bipolar_table<float, float>();
extern const BipolarKernels<float, BFloat16> bipolar_f32_bf16 = bipolar_table<float, BFloat16>();
extern const BipolarKernels<BFloat16, BFloat16> bipolar_bf16 = bipolar_table<BFloat16, BFloat16>();

}  // namespace sluice::SLUICE_ISA
