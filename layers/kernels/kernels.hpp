// Vector kernels of the standard layers, built once for each instruction set and chosen at run time.
//
// A channel group is up to 16 consecutive channels of one image: `rows` pixels, `stride` elements from one pixel to the
// next, `lanes` channels. Both layouts (NHWC and blocked) are walked this way; per-channel operands point at the
// group's first channel and hold `lanes` values.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"

namespace sluice {

struct ChannelGroup {
  std::int64_t rows = 0;
  std::int64_t stride = 0;
  int lanes = 0;
};

/// How a batch normalisation ends: v = scale * x + shift, clip(v) = min(max(v, low), high).
enum class Ending {
  kNone,     ///< v
  kClip,     ///< clip(v)
  kAdd,      ///< v + addend
  kAddClip,  ///< clip(v + addend)
  kClipAdd   ///< clip(v) + addend
};

struct Clip {
  float low = 0;
  float high = 0;
};

/// Where the gradient of v comes from: g = diff_dst (+ diff_dst2), kept where the clip was open.
enum class GradientMask {
  kNone,     ///< no clip
  kFromSrc,  ///< low < scale * x + shift < high
  kFromDst   ///< low < dst < high
};

/// Operands of the backward kernels of batch normalisation; unused pointers are null.
template <class T>
struct NormGradient {
  const T* src = nullptr;  ///< x
  const T* dst = nullptr;  ///< for kFromDst
  const T* diff_dst = nullptr;
  const T* diff_dst2 = nullptr;
  const float* scale = nullptr;  ///< for kFromSrc
  const float* shift = nullptr;
  const float* mean = nullptr;
  Clip clip;
};

template <class T>
struct NormKernels {
  /// Adds sum(x - pivot) and sum((x - pivot)^2) of a group to `sum` and `square`, by channel.
  void (*statistics)(ChannelGroup, const T* x, const float* pivot, double* sum, double* square);
  void (*forward)(ChannelGroup, Ending, const T* x, const T* addend, T* dst, const float* scale, const float* shift,
                  Clip);
  /// Adds sum(g) and sum(g * (x - mean)) to `sum` and `dot`; where `diff_addend` is not null writes to it diff_dst +
  /// diff_dst2, masked for kFromDst (the addend stood before the clip) but not for kFromSrc (it stood behind).
  void (*backward_reduce)(ChannelGroup, GradientMask, const NormGradient<T>&, T* diff_addend, double* sum, double* dot);
  /// diff_src = a * g - b - c * (x - mean), by channel.
  void (*backward_apply)(ChannelGroup, GradientMask, const NormGradient<T>&, const float* a, const float* b,
                         const float* c, T* diff_src);
};

/// Kernels over flat arrays.
template <class T>
struct PointwiseKernels {
  void (*add)(std::int64_t n, const T* a, const T* b, T* dst);
  void (*clip)(std::int64_t n, const T* src, T* dst, Clip);
  /// diff_src = diff_dst where low < src < high, else 0.
  void (*clip_backward)(std::int64_t n, const T* src, const T* diff_dst, T* diff_src, Clip);
};

template <class T>
const NormKernels<T>& norm_kernels(Isa isa = cpu_isa());
template <class T>
const PointwiseKernels<T>& pointwise_kernels(Isa isa = cpu_isa());

}  // namespace sluice
