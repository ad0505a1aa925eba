// The two batch normalisations of a gated layer: one for open gates, one for closed ones (Hua et al., NeurIPS 2019,
// figure 4). Both take their statistics over all outputs, for both values are known everywhere in training.
#pragma once

#include "core/graph/layer.hpp"
#include "gating/channel_rows.hpp"
#include "gating/gate.hpp"

namespace sluice {

/// BN_full(Yp + Yr) and BN_base(Yp), affine, each with parameters `*_weight` and `*_bias`. BN_base's statistics are
/// those of the gate's own normalisation, `mean` and `variance` below.
class TwoNorms {
 public:
  TwoNorms() = default;
  TwoNorms(SlotBook& book, const ChannelGroups& groups, double eps, double momentum);
  /// Of training: scratch memory of forward, and of backward beside the gate's own.
  void book_training(Scratch forward, Scratch& backward);
  /// Adds four parameters and two buffers to a layer that has two of each.
  static void declare(Declarations& declare, std::int64_t channels);

  /// Training: statistics of Yp + Yr; updates the running ones. Then constants from both statistics of the batch.
  template <class T>
  void normalise_batch(const Context& c, const Gate& gate, const T* products, const float* mean,
                       const float* variance) const;
  /// Inference: constants from the running statistics.
  void use_running(const Context& c, const float* mean, const float* variance) const;

  /// For the gate; valid after one of the two above.
  NormPair constants(const Memory& memory) const;
  /// Memory for the gate's sums in backward.
  ChannelSums full_sums(const Memory& memory) const { return {groups_, memory[full_sums_]}; }
  ChannelSums base_sums(const Memory& memory) const { return {groups_, memory[base_sums_]}; }
  /// Adds the parameters' gradients, and to b and c of `correction` what the gradient of Yp loses to BN_base; sets what
  /// Yp + Yr loses to BN_full. `b` and `factor` are the memory of correction.b and .c.
  void finish_backward(const Context& c, ChannelSums& full, ChannelSums& base, const float* mean, const float* variance,
                       float* b, float* factor, GateCorrection& correction) const;

 private:
  /// Among the layer's parameters and buffers.
  static constexpr std::size_t kFullWeight = 2, kFullBias = 3, kBaseWeight = 4, kBaseBias = 5;
  static constexpr std::size_t kFullMeanBuffer = 2, kFullVarianceBuffer = 3;
  enum Row { kFullScale, kFullShift, kBaseScale, kBaseShift, kFullMean, kFullVariance, kFullB, kFullC, kRows };

  void set_constants(const Context& c, const float* full_mean, const float* full_variance, const float* mean,
                     const float* variance) const;

  double eps_ = 0, momentum_ = 0;
  ChannelGroups groups_;
  ChannelRows<Row> rows_;
  Slot<double> statistics_, full_sums_, base_sums_;
};

}  // namespace sluice
