// Running statistics for weights that no forward of training has seen: averages of weights.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/pipeline.hpp"
#include "core/distributed/communicator.hpp"
#include "core/graph/executor.hpp"

namespace sluice {

/// Measures running statistics anew: means over batches of training images, each batch with the same weight (as torch's
/// update_bn). Those of a layer whose attributes have a `momentum` are its buffers; other buffers stay.
class StatisticsPass {
 public:
  /// The executor is the training's, and takes a batch in so many `parts`, of which each counts by itself. All
  /// arguments must outlive it.
  StatisticsPass(Executor& executor, Network& network, const Dataset& dataset, const PipelineOptions& batches,
                 std::int64_t parts, Communicator& ranks);

  /// Over the first `count` batches of the epoch, for the weights that the network holds. What is measured depends on
  /// weights, seed and epoch alone. The executor's counts stay; it has these weights afterwards, until it is refreshed.
  void run(std::int64_t epoch, std::int64_t count);

 private:
  /// Of the buffer arena, with what the newest batch counts in training.
  struct Range {
    std::int64_t offset, count;
    double momentum;
  };
  void forward(const Batch& batch, std::int64_t part, std::int64_t number);

  Executor& executor_;
  Network& network_;
  Communicator& ranks_;
  std::int64_t parts_;
  Pipeline pipeline_;
  std::vector<Range> ranges_;
  std::vector<float> before_;     ///< the buffers
  std::vector<double> measured_;  ///< the ranges, one behind the other
};

}  // namespace sluice
