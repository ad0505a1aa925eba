// The element-wise work of gated layers, built once for each instruction set and chosen at run time.
//
// A gated layer has two products of its convolution's shape: `base` P and `conditional` R. Its result is P + d (.) R
// with decisions d; or, with two normalisations, F where a gate is open and B where not:
//   F = full_scale (P + R) + full_shift,  B = base_scale P + base_shift
// Kernels walk a ChannelGroup (layers/kernels/kernels.hpp): up to 16 channels of one image, `rows`
// pixels. Strides: P and R lie in one tensor with the group's stride, results and gradients of results in another with
// `stride` of their own.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

/// By channel: the normalised distance of P to its threshold is q = (P - limit) * slope, open where q > 0.
struct GateConstants {
  const float* limit = nullptr;
  const float* slope = nullptr;
};

/// The two normalisations, by channel.
struct NormPair {
  const float* full_scale = nullptr;
  const float* full_shift = nullptr;
  const float* base_scale = nullptr;
  const float* base_shift = nullptr;
  const float* full_mean = nullptr;  ///< backward alone
};

/// Operands of the forward kernels, at a group's first channel and first pixel.
template <class T>
struct GateForward {
  const T* base = nullptr;
  const T* conditional = nullptr;
  T* dst = nullptr;
  std::int64_t dst_stride = 0;
  const NormPair* norms = nullptr;  ///< null: the result is P + d (.) R
};

/// Operands of the backward kernels. The surrogate's upstream gradient is g R + gain. They write diff_conditional = g d
/// and diff_base = g + slope u, where u is the surrogate's gradient with respect to q; `diff_*` lie as base and
/// conditional do. With two normalisations these are full_scale g d and full_scale g d + base_scale g (1 - d) + slope
/// u.
template <class T>
struct GateBackward {
  const T* base = nullptr;
  const T* conditional = nullptr;
  const T* diff_dst = nullptr;
  std::int64_t dst_stride = 0;
  T* diff_base = nullptr;
  T* diff_conditional = nullptr;
  const float* mean = nullptr;  ///< by channel: the second sum is of u (P - mean); null: it is not wanted
  float gain = 0;               ///< what one more open output adds to the loss, beside g R
  const NormPair* norms = nullptr;
  /// With norms, adds by channel the sums of g d and g d (P + R - full_mean), and of g (1 - d) and g (1 - d) (P -
  /// mean): 2 x 16 each.
  double* full_sums = nullptr;
  double* base_sums = nullptr;
};

/// By channel, what normalisations take from the gradients: diff_base -= b + c (P - mean); and where `full_mean` is not
/// null, diff_conditional and diff_base -= full_b + full_c (P + R - full_mean).
struct GateCorrection {
  const float* mean = nullptr;
  const float* b = nullptr;
  const float* c = nullptr;
  const float* full_mean = nullptr;
  const float* full_b = nullptr;
  const float* full_c = nullptr;
};

/// The surrogate of the step at 0: sigmoid(alpha q), whose derivative is alpha s (1 - s).
struct Surrogate {
  float alpha = 1;
  bool sparse = false;  ///< 0 where q < 0
};

template <class T>
struct GateKernels {
  /// One decision for each value. Returns how many are open.
  std::int64_t (*forward)(ChannelGroup, const GateConstants&, const GateForward<T>&);
  /// Adds sum(u) and sum(u (P - mean)) to `sum` and `dot`, by channel.
  void (*backward)(ChannelGroup, const GateConstants&, Surrogate, const GateBackward<T>&, double* sum, double* dot);

  // One decision for a pixel's slice of channels, which may be several groups. `score` has one number a pixel.
  /// score (+)= sum of q over the group's channels.
  void (*score)(ChannelGroup, const GateConstants&, const T* base, float* score, bool add);
  /// Open where score > 0. Returns the number of open values.
  std::int64_t (*forward_scored)(ChannelGroup, const float* score, const GateForward<T>&);
  /// gradient (+)= sum of g R + gain, or of g (F - B) + gain, over the group's channels.
  void (*gradient)(ChannelGroup, const GateBackward<T>&, float* gradient, bool add);
  /// u = gradient * surrogate(score / width) / width for each of the slice's `width` channels. Sums as in `backward`.
  void (*backward_scored)(ChannelGroup, const GateConstants&, Surrogate, std::int64_t width, const float* score,
                          const float* gradient, const GateBackward<T>&, double* sum, double* dot);

  // One decision for a channel of an image. `score` and `gradient` have a number for each of the group's channels.
  /// score = sum of q over the rows.
  void (*channel_score)(ChannelGroup, const GateConstants&, const T* base, float* score);
  /// Open where score > 0. Returns the number of open values.
  std::int64_t (*forward_channels)(ChannelGroup, const float* score, const GateForward<T>&);
  /// gradient = sum of g R + gain, or of g (F - B) + gain, over the rows.
  void (*channel_gradient)(ChannelGroup, const GateBackward<T>&, float* gradient);
  /// u = gradient * surrogate(score / rows) / rows for each row. Sums as in `backward`.
  void (*backward_channels)(ChannelGroup, const GateConstants&, Surrogate, const float* score, const float* gradient,
                            const GateBackward<T>&, double* sum, double* dot);

  /// As NormKernels::statistics, of P + R.
  void (*full_statistics)(ChannelGroup, const T* base, const T* conditional, const float* pivot, double* sum,
                          double* square);
  void (*correct)(ChannelGroup, const GateCorrection&, const GateBackward<T>&);
};

template <class T>
const GateKernels<T>& gate_kernels(Isa isa = cpu_isa());

}  // namespace sluice
