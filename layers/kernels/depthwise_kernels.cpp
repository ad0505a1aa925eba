// Gradient of depthwise filters for one instruction set.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Outputs [begin, end) whose tap stands on the image, and the source position of output `begin`.
struct Reach {
  std::int64_t begin, end, src;
};

SLUICE_INLINE Reach reach_of(std::int64_t tap, std::int64_t src, std::int64_t dst, const DepthwiseImage& g) {
  const std::int64_t shift = tap * g.dilation - g.pad;  // output o sees source o * stride + shift
  const std::int64_t begin = shift >= 0 ? 0 : (-shift + g.stride - 1) / g.stride;
  const std::int64_t last = src - 1 - shift;
  const std::int64_t end = last < 0 ? 0 : last / g.stride + 1;
  return {begin, end < dst ? end : dst, begin * g.stride + shift};
}

template <bool kWhole, class T>
SLUICE_INLINE F32 sum_of(const DepthwiseImage& g, int lanes, const T* src, const T* diff_dst, Reach rows,
                         Reach columns) {
  F32 even{}, odd{};
  for (std::int64_t oh = rows.begin; oh < rows.end; ++oh) {
    const std::int64_t h = rows.src + (oh - rows.begin) * g.stride;
    const T* x = src + (h * g.src_width + columns.src) * g.pixel;
    const T* diff = diff_dst + (oh * g.dst_width + columns.begin) * g.pixel;
    std::int64_t ow = columns.begin;
    for (; ow + 1 < columns.end; ow += 2, x += 2 * g.stride * g.pixel, diff += 2 * g.pixel) {
      even += get<kWhole>(x, lanes) * get<kWhole>(diff, lanes);
      odd += get<kWhole>(x + g.stride * g.pixel, lanes) * get<kWhole>(diff + g.pixel, lanes);
    }
    if (ow < columns.end) even += get<kWhole>(x, lanes) * get<kWhole>(diff, lanes);
  }
  return even + odd;
}

template <bool kWhole, class T>
SLUICE_INLINE void backward_weights_of(const DepthwiseImage& g, int lanes, const T* src, const T* diff_dst,
                                       double* sums) {
  for (std::int64_t kh = 0; kh < g.kernel; ++kh) {
    const Reach rows = reach_of(kh, g.src_height, g.dst_height, g);
    for (std::int64_t kw = 0; kw < g.kernel; ++kw, sums += kLanes) {
      const Reach columns = reach_of(kw, g.src_width, g.dst_width, g);
      const F32 sum = sum_of<kWhole>(g, lanes, src, diff_dst, rows, columns);
      for (int i = 0; i < kLanes; ++i) sums[i] += static_cast<double>(sum[i]);
    }
  }
}

template <class T>
void backward_weights(const DepthwiseImage& g, int lanes, const T* src, const T* diff_dst, double* sums) {
  if (lanes == kLanes) return backward_weights_of<true>(g, lanes, src, diff_dst, sums);
  backward_weights_of<false>(g, lanes, src, diff_dst, sums);
}

}  // namespace

extern const DepthwiseKernels<float> depthwise_f32 = {backward_weights<float>};
extern const DepthwiseKernels<BFloat16> depthwise_bf16 = {backward_weights<BFloat16>};

}  // namespace sluice::SLUICE_ISA
