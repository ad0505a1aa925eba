// One step of training: the gradient of a batch, in parts and over several processes, and the update of the weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/data/pipeline.hpp"
#include "core/distributed/communicator.hpp"
#include "core/distributed/gradient_reducer.hpp"
#include "core/train/distilled_loss.hpp"
#include "core/train/experiment.hpp"
#include "core/train/known_data.hpp"
#include "core/train/log.hpp"
#include "core/train/mixed_loss.hpp"
#include "core/train/optimizer.hpp"
#include "core/train/teacher.hpp"
#include "core/train/training_state.hpp"

namespace sluice {

/// Throws Error(kUsage) where the experiment is for inference alone: run.precision = int8.
void check_trainable(const Experiment& experiment);

/// The batches that a rank trains on, as `[train]` and `[data]` say.
PipelineOptions training_batches(const Experiment& experiment, const Normalization& normalization,
                                 const Communicator& ranks);

/// What a rank wants of all when a step is done.
struct RankWishes {
  bool stop = false, save = false;
};

/// "training diverged at epoch 2, step 30: loss is nan; WHERE; ...", for an Error(kDiverged). `where` may be empty.
std::string diverged_text(const TrainingPosition& position, const char* what, double value, const std::string& where);

/// Everything that changes the network's weights, made once.
class TrainingStep {
 public:
  /// Makes executor, optimiser, and what the loss needs of teachers and mixed images. The first four arguments must
  /// outlive it; `wishes`, if any, is asked at each part of a step. Throws Error: kUsage, kCheckpoint.
  TrainingStep(Experiment& experiment, const TrainingData& data, Communicator& ranks, Log& log,
               std::function<RankWishes()> wishes = {});

  /// Sets what the network's layers measure at the start of a run (Init::measured), by a batch of `training_batches`;
  /// nothing else changes. All ranks take the root's.
  void measure(const Batch& batch);

  /// Updates the weights by a batch of `training_batches`. `position` moves on by it, and its sums take in the losses
  /// of all ranks. Throws Error(kDiverged) on NaN or Inf, before the update.
  void run(const Batch& batch, double lr, TrainingPosition& position);

  /// What any rank wished in the last step.
  RankWishes wishes() const;

  Executor& executor() { return *executor_; }
  Optimizer& optimizer() { return *optimizer_; }
  const Teachers* teachers() const { return teachers_.get(); }

 private:
  void take_teachers(const TrainingData& data, Log& log);
  void differentiate(const BatchPart& batch, std::int64_t part, TrainingPosition& position);
  void add_part(std::int64_t part);
  void tell(std::int64_t count, TrainingPosition& position);
  float* gradients() const;
  [[noreturn]] void stop_diverged(double value, const char* what, const TrainingPosition& position);
  std::string divergence(double value, const char* what, const std::string& layer, const TrainingPosition& position);

  Experiment& experiment_;
  Network& network_;
  Communicator& ranks_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Optimizer> optimizer_;
  std::function<RankWishes()> own_wishes_;
  Buffer gradient_sum_;                       ///< of the parts of a step, where there are several
  std::unique_ptr<GradientReducer> reducer_;  ///< where there are several ranks
  std::unique_ptr<Teachers> teachers_;
  std::unique_ptr<DistilledLoss> distilled_loss_;
  std::unique_ptr<MixedLoss> mixed_loss_;
  std::vector<double> told_;  ///< by all ranks after the last part of a step
  double weight_ = 1;         ///< of this rank's images in the step
  std::int64_t images_;       ///< of an epoch
};

}  // namespace sluice
