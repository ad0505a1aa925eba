// The gate of a layer: decides where the conditional product is added to the base product, and what gradient that
// decision has.
//
// With base product P, conditional product R (N x O x H x W each), and q = (P - limit[o]) * slope[o]:
//   dst = P + d (.) R,  d = 1 where the mean of q over the decision's outputs is above 0, else 0 (a tie is closed)
// The step has no useful derivative, so backward takes that of s = sigmoid(alpha * mean q) in its place (Hua et al.,
// NeurIPS 2019, section 3.3; Zhang et al., ICLR 2020, section 3.2):
//   u = sum over the decision's outputs of (g (.) R + gain) * alpha s (1 - s) / outputs,
//       with sparse_backprop 0 where mean q < 0;
//   diff_R = g (.) d,  diff_P = g + slope u,  and sum(u) for the threshold
// (gain: what an auxiliary loss says of one more open output, Context::diff_open)
#pragma once

#include <cstdint>

#include "core/config/keys.hpp"
#include "core/graph/attributes.hpp"
#include "core/graph/layer.hpp"
#include "gating/kernels/gate_kernels.hpp"
#include "layers/batch_statistics.hpp"

namespace sluice {

/// Who shares a decision.
enum class Granularity {
  kElement,  ///< nobody: one decision for each output, as published
  kSlice,    ///< 16 consecutive channels of a pixel (fewer in the last slice)
  kPixel,    ///< all channels of a pixel
  kChannel   ///< all pixels of a channel of an image
};

/// Keys that every gated layer has.
struct GateOptions {
  double alpha = 1;
  bool sparse_backprop = false;
  double threshold_init = 0;
  double open_share = 0;      ///< instead, where above 0: thresholds are measured so that so many gates open at first
  double threshold_clip = 0;  ///< where above 0: thresholds further from 0 count as this far
  Granularity granularity = Granularity::kElement;

  /// What a layer's operations can do beside what every one can.
  struct Abilities {
    bool by_channel = false;  ///< Granularity::kChannel
    bool measures = false;    ///< Op::measure
    bool clips = false;       ///< thresholds
  };
  void describe(Keys& keys, Abilities abilities);
  void describe(Keys& keys) { describe(keys, {}); }
  void describe(Attributes& attributes) const;
  /// Of the thresholds; with open_share, the operation has to measure them (Op::measure).
  Init initial_threshold() const { return open_share > 0 ? Init::measured() : Init::constant(threshold_init); }
};

/// A threshold as it counts with that GateOptions::threshold_clip.
float clipped_threshold(float threshold, double clip);
/// The key threshold_init: a number, or density:SHARE.
void describe_threshold(Keys& keys, double& value, double& open_share);
/// Such that so many of `values`, which are reordered, are above it.
float threshold_for(std::vector<float>& values, double open_share);

/// What two normalisations, one for open gates and one for closed ones, add to a gate's work; by channel of base().
struct GateNorms {
  NormPair constants;
  ChannelSums* full = nullptr;  ///< backward alone: sums of g d and g d (P + R - full_mean)
  ChannelSums* base = nullptr;  ///< and of g (1 - d) and g (1 - d) (P - mean)
};

/// The products lie in one tensor N x 2 O x H x W, first those of the base path, then the conditional ones; or in two
/// like the result, one behind the other.
class Gate {
 public:
  Gate() = default;
  /// `dst` is N x O x H x W; `products` has the same layout with 2 O channels, or another block.
  Gate(const GateOptions& options, const TensorDesc& products, const TensorDesc& dst);
  /// Two tensors like `dst`.
  Gate(const GateOptions& options, const TensorDesc& dst);

  const ChannelGroups& base() const { return base_; }
  /// Numbers that decisions are made by, where they are shared: kept from forward to backward, which wants as many of
  /// its own.
  std::int64_t scores() const {
    if (options_.granularity == Granularity::kElement) return 0;
    return base_.images * (by_channel() ? base_.padded() : slices() * base_.rows);
  }

  /// Returns how many of the outputs are open. `score` holds scores(). With `norms` the result is that of two
  /// normalisations (gating/kernels/gate_kernels.hpp).
  template <class T>
  std::int64_t forward(const T* products, const GateConstants& constants, T* dst, float* score,
                       const GateNorms* norms = nullptr) const;
  /// Writes both gradients to `diff_products`; by channel of base(), `sums` has sum(u) first and sum(u (P - mean))
  /// second (where `mean` is not null). `gradient` holds scores(); `gain` is by image, or null.
  template <class T>
  void backward(const T* products, const T* diff_dst, const GateConstants& constants, const float* mean,
                const float* score, float* gradient, T* diff_products, ChannelSums& sums,
                const GateNorms* norms = nullptr, const float* gain = nullptr) const;
  /// By channel, what to subtract from q so that the share GateOptions::open_share of these products' gates is open.
  template <class T>
  void measure_thresholds(const T* products, const GateConstants& constants, float* thresholds) const;
  /// What forward decided, as 1 and 0 in the layout of the result.
  template <class T>
  void decisions(const T* products, const GateConstants& constants, const float* score, float* dst) const;
  /// Mean and variance of P + R by channel, as batch_statistics gives them.
  template <class T>
  void full_statistics(const T* products, float* mean, float* variance, double* memory, const BatchShare* share) const;
  /// Subtracts what normalisations before the gate take from the gradients.
  template <class T>
  void correct(const T* products, const GateCorrection& correction, T* diff_products) const;

  /// N x 2 O x H x W for the products of one convolution with 2 O filters, in the layout that its source and the
  /// layer's result ask for.
  static TensorDesc products_desc(const TensorDesc& src, const TensorDesc& dst);

 private:
  bool by_channel() const { return options_.granularity == Granularity::kChannel; }
  std::int64_t slices() const { return options_.granularity == Granularity::kSlice ? base_.count : 1; }
  std::int64_t conditional_offset(std::int64_t image, std::int64_t group) const {
    return conditional_start_ + conditional_.offset(image, group);
  }
  /// Operands of a group; `own` is where its norms stand.
  template <class T>
  GateForward<T> operands(const T* products, T* dst, const GateNorms* norms, NormPair& own, std::int64_t image,
                          std::int64_t group) const;
  template <class T>
  GateBackward<T> operands(const T* products, const T* diff_dst, const float* mean, T* diff_products,
                           const GateNorms* norms, const float* gain, NormPair& own, std::int64_t image,
                           std::int64_t group) const;

  GateOptions options_;
  Surrogate surrogate_;
  std::int64_t dst_stride_ = 0, conditional_start_ = 0;
  ChannelGroups base_, conditional_, dst_;
};

}  // namespace sluice
