// The gating loss that speaks of cost: a network that is to do a quarter of its work says so in one number.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/auxiliary_loss.hpp"

namespace sluice {

/// cost_penalty * (share - wanted)^2, where share = executed / dense cost of the whole network on the images of the
/// step, as it is counted (core/graph/cost.hpp): multiply-adds; or bit operations, where gates decide about bits.
///   wanted = ramp + gap,   within [share with every gate closed, 1]
///   ramp     falls from 1 to cost_target over ramp_epochs
///   gap    = share on training batches - share on validation images, both by the weights of the last evaluation
/// Batches are augmented, normalised by their own statistics, and have dropout and noise: they do not cost what the
/// validation images cost, which is what cost_target means. Without validation images the gap is 0. The gradient
/// reaches the gates by their own surrogate (gating/gate.hpp).
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
  void compare(const Network& network, const CountsByNode& evaluated, const CountsByNode& trained);
  std::optional<double> gap() const { return gap_; }
  void set_gap(std::optional<double> gap) { gap_ = gap; }
  double forward(const Network& network, const AuxiliaryStep& step) const;
  void backward(const Network& network, const AuxiliaryStep& step, CountGradients& diff_counts) const;

 private:
  double ramp(double epochs) const;
  double wanted(double epochs) const;
  double share(const Network& network, const CountsByNode& counts) const;

  double target_ = 0.25, penalty_ = 100, ramp_epochs_ = 5;
  double least_ = 0;  ///< share with every gate closed
  std::optional<double> gap_;
  bool applies_ = false, bits_ = false;
  std::string where_target_, where_ramp_;
};

}  // namespace sluice
