// RPReLU, for one instruction set.
#include "layers/kernels/rprelu_kernels.hpp"

#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

template <bool kWhole, class T>
SLUICE_INLINE void forward_of(ChannelGroup g, const RPReluParameters<const float>& p, const T* src, T* dst) {
  const F32 shift_x = get<kWhole>(p.shift_x, g.lanes), slope = get<kWhole>(p.slope, g.lanes),
            shift_y = get<kWhole>(p.shift_y, g.lanes);
  for (std::int64_t r = 0; r < g.rows; ++r, src += g.stride, dst += g.stride) {
    const F32 x = get<kWhole>(src, g.lanes) + shift_x;
    put<kWhole>(dst, if_greater(x, F32{}, x, slope * x) + shift_y, g.lanes);
  }
}

template <class T>
void forward(ChannelGroup g, const RPReluParameters<const float>& p, const T* src, T* dst) {
  if (g.lanes == kLanes) return forward_of<true>(g, p, src, dst);
  forward_of<false>(g, p, src, dst);
}

template <bool kWhole, class T>
SLUICE_INLINE void backward_of(ChannelGroup g, const RPReluParameters<const float>& p, const T* src, const T* diff_dst,
                               T* diff_src, const RPReluParameters<double>& sums) {
  const F32 shift_x = get<kWhole>(p.shift_x, g.lanes), slope = get<kWhole>(p.slope, g.lanes);
  for (std::int64_t begin = 0; begin < g.rows; begin += kSummedInSingle) {
    const std::int64_t end = begin + kSummedInSingle < g.rows ? begin + kSummedInSingle : g.rows;
    F32 of_x{}, of_slope{}, of_y{};
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = r * g.stride;
      const F32 x = get<kWhole>(src + at, g.lanes) + shift_x, diff = get<kWhole>(diff_dst + at, g.lanes);
      const F32 passed = if_greater(x, F32{}, diff, slope * diff);
      of_x += passed;
      of_slope += if_greater(x, F32{}, F32{}, diff * x);
      of_y += diff;
      if (diff_src != nullptr) put<kWhole>(diff_src + at, passed, g.lanes);
    }
    widen_add(sums.shift_x, of_x, g.lanes);
    widen_add(sums.slope, of_slope, g.lanes);
    widen_add(sums.shift_y, of_y, g.lanes);
  }
}

template <class T>
void backward(ChannelGroup g, const RPReluParameters<const float>& p, const T* src, const T* diff_dst, T* diff_src,
              const RPReluParameters<double>& sums) {
  if (g.lanes == kLanes) return backward_of<true>(g, p, src, diff_dst, diff_src, sums);
  backward_of<false>(g, p, src, diff_dst, diff_src, sums);
}

}  // namespace

extern const RPReluKernels<float> rprelu_f32 = {forward<float>, backward<float>};
extern const RPReluKernels<BFloat16> rprelu_bf16 = {forward<BFloat16>, backward<BFloat16>};

}  // namespace sluice::SLUICE_ISA
