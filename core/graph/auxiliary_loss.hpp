// A term of the training loss beside the graph's own: of parameters, such as a penalty on thresholds, and of what
// layers count, such as a penalty on what a step costs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/graph/statistics.hpp"

namespace sluice {

class Network;

/// What an auxiliary loss may depend on beside the parameters.
struct AuxiliaryStep {
  double epochs = 0;    ///< of training that were done when the step began
  CountsByNode counts;  ///< of the step's forward, by all ranks together; empty where no loss wants them
};

/// d loss / d count, by node, in the order of its declaration.
using CountGradients = std::vector<std::vector<double>>;

/// Enabled by its section in the configuration; every training executor of the network adds it, whoever writes the
/// loop. (A part of a step, with train.accumulate, is a step of its own here.)
class AuxiliaryLoss {
 public:
  virtual ~AuxiliaryLoss() = default;
  /// Called once, when the network is complete.
  virtual void bind(const Network&) {}
  /// The term's value for the network's current parameters.
  virtual double forward(const Network& network, const AuxiliaryStep& step) = 0;
  /// Adds its gradient: to the arena `diff_params`, which is laid out like the network's parameters, and to that of the
  /// counts of Role::kOpen, and of others that costs name. Operations take it to what they decide by
  /// (Context::diff_open).
  virtual void backward(const Network& network, const AuxiliaryStep& step, float* diff_params,
                        CountGradients& diff_counts) = 0;
  /// It depends on AuxiliaryStep::counts.
  virtual bool wants_counts() const { return false; }
  /// Where it wants counts, after each evaluation of a training on validation images, so many epochs after its begin:
  /// what that counted, and what training batches count with the same weights. Both are of all ranks.
  virtual void compare(const Network& /*network*/, double /*epochs*/, const CountsByNode& /*evaluated*/,
                       const CountsByNode& /*trained*/) {}
  /// What later steps need of the comparisons so far, by name, for checkpoints; nothing before the first.
  virtual std::map<std::string, double> memory() const { return {}; }
  virtual void set_memory(const std::map<std::string, double>& /*memory*/) {}
  /// False where the network that it was bound to has nothing it depends on: the network then leaves it out.
  virtual bool applies() const { return true; }
};

}  // namespace sluice
