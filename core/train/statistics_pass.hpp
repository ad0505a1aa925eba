// Statistics for weights that no forward of training has seen, such as averages of weights: running ones of
// normalisations, and what layers count.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/data/pipeline.hpp"
#include "core/distributed/communicator.hpp"
#include "core/graph/executor.hpp"

namespace sluice {

/// Forward passes of training over the first batches of an epoch, for the weights that the network holds. What they
/// find depends on weights, seed and epoch alone. The executor's counts stay; it has these weights afterwards, until it
/// is refreshed.
class StatisticsPass {
 public:
  /// The executor is the training's, and takes a batch in so many `parts`, of which each counts by itself. All
  /// arguments must outlive it.
  StatisticsPass(Executor& executor, Network& network, const Dataset& dataset, const PipelineOptions& batches,
                 std::int64_t parts, Communicator& ranks);

  /// Measures running statistics anew: means over `batches`, each with the same weight (as torch's update_bn). Those of
  /// a layer whose attributes have a `momentum` are its buffers; other buffers stay.
  void run(std::int64_t epoch, std::int64_t batches);
  /// What layers count in `batches`, by all ranks. Buffers stay.
  CountsByNode counts(std::int64_t epoch, std::int64_t batches);

 private:
  /// Of the buffer arena, with what the newest batch counts in training.
  struct Range {
    std::int64_t offset, count;
    double momentum;
  };
  /// `forward(batch, part, number)` runs one of them; gives what this rank counted.
  using Forward = std::function<void(const Batch& batch, std::int64_t part, std::int64_t number)>;
  Statistics pass(std::int64_t epoch, std::int64_t batches, const Forward& forward);
  void forward(const Batch& batch, std::int64_t part, std::int64_t number);
  void measure(const Batch& batch, std::int64_t part, std::int64_t number);

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
