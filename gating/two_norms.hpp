// The two batch normalisations of a gated layer: one for open gates, one for closed ones (Hua et al., NeurIPS 2019,
// figure 4). Both take their statistics over all outputs, for both values are known everywhere in training.
#pragma once

#include "core/base/buffer.hpp"
#include "core/graph/layer.hpp"
#include "gating/gate.hpp"

namespace sluice {

/// BN_full(Yp + Yr) and BN_base(Yp), affine, each with parameters `*_weight` and `*_bias`. BN_base's statistics are
/// those of the gate's own normalisation.
class TwoNorms {
 public:
  TwoNorms() = default;
  /// Adds four parameters and two buffers.
  void declare(Declarations& declare, std::int64_t channels);
  void setup(Setup& setup, const ChannelGroups& groups, double eps, double momentum);
  /// Scratch memory of batch and of backward, beside the gate's own sums.
  static std::int64_t scratch_bytes(const ChannelGroups& groups) { return 2 * align_up(ChannelSums::bytes(groups)); }

  /// Training: statistics of Yp + Yr; updates the running ones. Then constants from both statistics of the batch.
  template <class T>
  void normalise_batch(Context& c, const Gate& gate, const T* products, const float* base_mean,
                       const float* base_variance, void* scratch) const;
  /// Inference: constants from the running statistics.
  void use_running(Context& c, const float* base_mean, const float* base_variance) const;

  /// For the gate; valid after one of the two above.
  NormPair constants(const Context& c) const;
  /// Adds the parameters' gradients, and to b and c of `correction` what the gradient of Yp loses to BN_base; sets what
  /// Yp + Yr loses to BN_full. `b` and `factor` are the memory of correction.b and .c.
  void finish_backward(Context& c, const ChannelSums& full, const ChannelSums& base, const float* base_mean,
                       const float* base_variance, float* b, float* factor, GateCorrection& correction) const;

 private:
  enum Array { kFullScale, kFullShift, kBaseScale, kBaseShift, kFullMean, kFullVariance, kFullB, kFullC, kArrays };
  float* array(const Context& c, Array which) const;
  void set_constants(Context& c, const float* full_mean, const float* full_variance, const float* base_mean,
                     const float* base_variance) const;

  double eps_ = 0, momentum_ = 0;
  ChannelGroups groups_;
  int full_weight_ = 0, full_bias_ = 0, base_weight_ = 0, base_bias_ = 0;
  int full_running_mean_ = 0, full_running_var_ = 0, kept_ = 0;
};

}  // namespace sluice
