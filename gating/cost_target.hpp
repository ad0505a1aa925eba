// The gating loss that speaks of cost: a network that is to do a quarter of its work says so in one number.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/auxiliary_loss.hpp"

namespace sluice {

/// cost_penalty * (share - wanted)^2, where share = executed / dense cost of the whole network on the images of the
/// step, as it is counted (core/graph/cost.hpp): multiply-adds; or bit operations, where gates decide about bits.
///   wanted = ramp + gap - missed,   within [share with every gate closed, 1]
///   ramp     falls from 1 to cost_target over ramp_epochs
///   gap    = share on training batches - share on validation images, both by the weights of the last evaluation
///   missed = sum over evaluations behind the ramp of 0.3 (share on validation images - cost_target) for each epoch
///            between them, or for a part of one
/// Batches are augmented, normalised by their own statistics, and have dropout and noise: they do not cost what the
/// validation images cost, which is what cost_target means. Where the other losses pull against a penalty, it rests
/// beside what is wanted: 2 cost_penalty missed is the multiplier of the constraint share = cost_target (the method of
/// multipliers: Hestenes 1969). Without validation images both are 0. The gradient reaches the gates by their own
/// surrogate (gating/gate.hpp).
class CostTarget {
 public:
  void describe(Keys& keys);
  /// Throws Error(kUsage) where the network costs more than cost_target with every gate closed.
  void bind(const Network& network);
  bool applies() const { return applies_; }

  /// See gating.hpp.
  std::vector<std::string> advice_on_ramp(double epochs) const;
  std::vector<std::string> advice_on_target(const Network& network, const AuxiliaryStep& last) const;

  /// See AuxiliaryLoss.
  void compare(const Network& network, double epochs, const CountsByNode& evaluated, const CountsByNode& trained);
  std::map<std::string, double> memory() const;
  void set_memory(const std::map<std::string, double>& memory);
  double forward(const Network& network, const AuxiliaryStep& step) const;
  void backward(const Network& network, const AuxiliaryStep& step, CountGradients& diff_counts) const;

 private:
  /// After so many epochs.
  struct Comparison {
    double epochs = 0, gap = 0, missed = 0;
  };

  double ramp(double epochs) const;
  double wanted(double epochs) const;
  double share(const Network& network, const CountsByNode& counts) const;

  double target_ = 0.25, penalty_ = 100, ramp_epochs_ = 5;
  double least_ = 0;  ///< share with every gate closed
  std::optional<Comparison> last_;
  bool applies_ = false, bits_ = false;
  std::string where_target_, where_ramp_;
};

}  // namespace sluice
