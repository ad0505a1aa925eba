// The loss of images that show two classes.
#pragma once

#include <vector>

#include "core/data/pipeline.hpp"
#include "core/graph/executor.hpp"

namespace sluice {

/// The first loss over the network's answer, which must take shares of classes: the input `shares`, N x classes.
class MixedLoss {
 public:
  /// The executor must outlive it. Throws Error(kUsage) where there is no such loss.
  MixedLoss(Executor& executor, const Network& network);

  /// For the next forward. The images are mixed, and as many as the executor's batch.
  void set(const BatchPart& batch);

 private:
  std::int64_t classes_;
  std::vector<float> shares_;  ///< batch x classes
};

}  // namespace sluice
