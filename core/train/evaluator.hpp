// Evaluates a network on a data set: every image exactly once, the last partial batch included. Pictures that cannot be
// read are left out where [data] on_bad_image says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/pipeline.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/executor.hpp"
#include "core/graph/kernel_choice.hpp"

namespace sluice {

class Communicator;

/// What an evaluation found.
struct Evaluation {
  std::int64_t images = 0;
  std::int64_t correct = 0;
  std::int64_t left_out = 0;  ///< pictures that could not be read
  double loss = 0;            ///< mean cross entropy
  double seconds = 0;
  std::int64_t batch = 0;         ///< images that were computed at a time, of a small set all
  Cost cost;                      ///< of one image, with the densities that were seen
  std::vector<Cost> layer_costs;  ///< by node
  CountsByNode counts;            ///< statistics by node, as declared
  SumsByNode sums;
  std::vector<std::int64_t> confusion;  ///< [label][prediction], classes x classes
  std::vector<std::int64_t> ranks;      ///< images whose class is the best answer, the second best, ...: classes

  double accuracy() const { return images == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(images); }
  /// The share of images whose class is among the k best answers.
  double accuracy_among(std::int64_t k) const;
  double images_per_second() const { return seconds > 0 ? static_cast<double>(images) / seconds : 0.0; }
};

class Evaluator {
 public:
  /// Called for each batch that is not empty, with its logits, count x classes.
  using BatchResult = std::function<void(const Batch&, const float* logits, std::int64_t classes)>;

  /// Makes the executors for whole batches and for the last one. Throws Error(kData) where the data set does not fit
  /// the network (shape, classes). Network, data set and ranks must outlive it. With several ranks each evaluates whole
  /// batches, those that a single process would make, and all of them know the sums.
  Evaluator(Network& network, const ExecutorOptions& options, const Dataset& dataset, const PipelineOptions& pipeline,
            Communicator* ranks = nullptr);

  /// Takes over the network's current weights and runs through the set. Gives nothing when `stop`, asked before each
  /// batch, says so on any rank. Throws Error(kData) where no picture can be read.
  std::optional<Evaluation> run(const BatchResult& on_batch = {}, const std::function<bool()>& stop = {});
  /// Chooses kernels for all runs from now on; see choose_kernels.
  void choose(const std::vector<KernelChoice>& kernels);
  std::int64_t batches() const { return pipeline_.batches(); }
  /// Of whole batches.
  std::vector<OperationInfo> operations() const { return whole_->operations(); }

 private:
  Executor& executor_for(std::int64_t count, Statistics& replaced);

  Network& network_;
  const Dataset& dataset_;
  Communicator* ranks_;
  Pipeline pipeline_;
  std::vector<KernelChoice> kernels_;
  std::unique_ptr<Executor> whole_, last_, odd_;  ///< odd: for a batch that something was left out of
};

/// What to say about pictures after an evaluation: Dataset::take_notes, and how many were left out.
std::vector<std::string> picture_warnings(const Dataset& dataset, const Evaluation& evaluation);

/// "3x32x32" of an image that the network takes.
ImageShape image_shape(const Network& network);

/// Throws Error(kData) unless the data set's images and classes are what the network takes and gives. `keys`: what to
/// set where the images are not ("network.input = 3x28x28"), if that is known.
void check_data_fits(const Network& network, const Dataset& dataset, const std::string& keys = "");

}  // namespace sluice
