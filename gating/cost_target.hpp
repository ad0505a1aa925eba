// The gating loss that speaks of cost: a network that is to do a quarter of its work says so in one number.
#pragma once

#include <string>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/auxiliary_loss.hpp"

namespace sluice {

/// cost_penalty * (share - wanted)^2, where share = executed / dense cost of the whole network on the images of the
/// step, as it is counted (core/graph/cost.hpp): multiply-adds; or bit operations, where gates decide about bits.
/// `wanted` falls from 1 to cost_target over ramp_epochs. Its gradient reaches the gates by their own surrogate
/// (gating/gate.hpp).
class CostTarget {
 public:
  void describe(Keys& keys);
  /// Throws Error(kUsage) where the network costs more than cost_target with every gate closed.
  void bind(const Network& network);
  bool applies() const { return applies_; }

  /// See gating.hpp.
  std::vector<std::string> advice_on_ramp(double epochs) const;
  std::vector<std::string> advice_on_target(const Network& network, const AuxiliaryStep& last) const;

  double forward(const Network& network, const AuxiliaryStep& step) const;
  void backward(const Network& network, const AuxiliaryStep& step, CountGradients& diff_counts) const;

 private:
  double wanted(double epochs) const;

  double target_ = 0.25, penalty_ = 100, ramp_epochs_ = 5;
  bool applies_ = false, bits_ = false;
  std::string where_target_, where_ramp_;
};

}  // namespace sluice
