// Who looks on while a network is trained.
#pragma once

#include <cstdint>

#include "core/train/known_data.hpp"
#include "core/train/metrics.hpp"

namespace sluice {

/// Called in the training's own thread, of several ranks by the root; what it throws ends the training.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// Before anything else. What was seen after `step` is void: the run goes on from there (0: it begins). The data
  /// outlive the training.
  virtual void begin(const TrainingData& data, std::int64_t step) = 0;
  /// The network holds what was evaluated after `step` steps: with [ema] the averages.
  virtual void evaluated(std::int64_t step) = 0;
  /// The metrics of an epoch, which are in the run's files by now.
  virtual void measured(const MetricsRow& row) = 0;
};

}  // namespace sluice
