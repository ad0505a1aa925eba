// Gradient of depthwise filters, built once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

/// One image of a depthwise convolution: rows of pixels, `pixel` elements from one pixel to the next on both sides.
struct DepthwiseImage {
  std::int64_t src_height = 0, src_width = 0;
  std::int64_t dst_height = 0, dst_width = 0;
  std::int64_t pixel = 0;
  std::int64_t kernel = 0, stride = 1, pad = 0, dilation = 1;
};

template <class T>
struct DepthwiseKernels {
  /// For up to 16 channels of one image: adds sum over (oh, ow) of src(oh * stride - pad + kh * dilation, ...) *
  /// diff_dst(oh, ow) to sums[(kh * kernel + kw) * 16 + channel].
  void (*backward_weights)(const DepthwiseImage&, int lanes, const T* src, const T* diff_dst, double* sums);
};

template <class T>
const DepthwiseKernels<T>& depthwise_kernels(Isa isa = cpu_isa());

}  // namespace sluice
