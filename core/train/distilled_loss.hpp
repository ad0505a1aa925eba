// The loss of a network that learns from what others answer.
#pragma once

#include <string>

#include "core/graph/executor.hpp"

namespace sluice {

/// The first loss over the network's answer. It takes soft targets where it declares the inputs `soft_targets` (N x
/// classes, f32), `soft_weight` and `soft_temperature` (f64), and `divergence` (f64) as its second result: see
/// layers/softmax_cross_entropy.cpp.
class DistilledLoss {
 public:
  /// The executor must outlive it. Throws Error(kUsage) where there is no such loss, or it takes no soft targets.
  DistilledLoss(Executor& executor, const Network& network);

  /// What the loss pulls towards from now on: logits for each batch, read at each step where they lie, as are the share
  /// of the pull in the loss (0 to 1) and the temperature (above 0). Null logits: labels alone.
  void set(const float* logits, const double* weight, const double* temperature);
  /// T^2 KL(softmax(logits / T) || softmax(answer / T)) of the last forward, mean over the batch; 0 without logits.
  double divergence() const;

 private:
  Executor& executor_;
  int node_;
  std::string name_;
};

}  // namespace sluice
