// Clamping to a learned bound, for one instruction set.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

// Vectors summed in fp32 before the sum goes on in double.
constexpr int kRun = 8;

template <bool kWhole, class T>
SLUICE_INLINE void forward_of(const T* src, T* dst, F32 bound, int lanes) {
  const F32 x = get<kWhole>(src, lanes);
  const F32 above = if_greater(F32{}, x, F32{}, x);
  put<kWhole>(dst, if_greater(above, bound, bound, above), lanes);
}

template <class T>
void forward(std::int64_t n, const T* src, T* dst, float bound) {
  const F32 b = set(bound);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) forward_of<true>(src + i, dst + i, b, kLanes);
  if (i < n) forward_of<false>(src + i, dst + i, b, static_cast<int>(n - i));
}

/// Writes the gradient of the source; returns what goes to the bound.
template <bool kWhole, class T>
SLUICE_INLINE F32 backward_of(const T* src, const T* diff_dst, T* diff_src, F32 bound, int lanes) {
  const F32 x = get<kWhole>(src, lanes), diff = get<kWhole>(diff_dst, lanes);
  if (diff_src != nullptr) {
    const F32 below = if_greater_equal(bound, x, diff, F32{});
    put<kWhole>(diff_src, if_greater_equal(x, F32{}, below, F32{}), lanes);
  }
  return if_greater(x, bound, diff, F32{});
}

template <class T>
double backward(std::int64_t n, const T* src, const T* diff_dst, T* diff_src, float bound) {
  const F32 b = set(bound);
  double sums[kLanes] = {};
  for (std::int64_t i = 0; i < n;) {
    F32 run{};
    for (int v = 0; v < kRun && i < n; ++v, i += kLanes) {
      T* const to = diff_src == nullptr ? nullptr : diff_src + i;
      if (i + kLanes <= n) {
        run += backward_of<true>(src + i, diff_dst + i, to, b, kLanes);
      } else {  // the lanes behind the end hold 0 for both operands
        run += backward_of<false>(src + i, diff_dst + i, to, b, static_cast<int>(n - i));
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += static_cast<double>(run[lane]);
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

extern const PactKernels<float> pact_f32 = {forward<float>, backward<float>};
extern const PactKernels<BFloat16> pact_bf16 = {forward<BFloat16>, backward<BFloat16>};

}  // namespace sluice::SLUICE_ISA
