// The networks that another one learns from: checkpoints, run in evaluation mode on the batches of a training.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/data/pipeline.hpp"
#include "core/graph/executor.hpp"
#include "core/model/trained_network.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// One network that teaches. It is built from the configuration in its checkpoint, with the layer types that the run
/// has registered: its checkpoint loads no plug-ins. It runs with the run's precision and threads, and takes
/// images in the run's normalisation.
class Teacher {
 public:
  /// Loads the checkpoint `path` and makes its executor for batches of `batch` images. Throws Error: kCheckpoint
  /// (missing, damaged, weights that do not fit its own configuration), kUsage (its configuration cannot be used here,
  /// other images or classes than the student's).
  Teacher(const std::string& path, const Experiment& student, const Normalization& normalization, std::int64_t batch);

  /// Runs on the images of a step, or of a part of it (train.accumulate). Allocates nothing.
  void answer(const BatchPart& batch);
  /// What it answered last, batch x classes; always the same memory.
  const float* logits() const;
  std::int64_t logits_count() const;

  /// Of its checkpoint's contents.
  const std::string& digest() const { return digest_; }
  /// What may not be meant so: classes of other names. Throws Error(kData) where they stand in another order.
  std::vector<std::string> warnings(const Dataset& dataset) const;

 private:
  Teacher(const Checkpoint& checkpoint, const Experiment& student, const Normalization& normalization,
          std::int64_t batch);
  void prepare_conversion(const Normalization& from, const Normalization& to);

  TrainedNetwork trained_;
  std::string digest_;
  Executor executor_;
  /// Where it was trained with another normalisation: x -> scale x + shift, by channel, and room for the batch.
  std::vector<float> scale_, shift_, images_;
};

/// Distillation (Hinton et al. 2015, sec. 2): the mean of the logits of the networks that `[distillation] teacher`
/// names is the soft target of the student's loss.
class Teachers {
 public:
  /// Throws what Teacher throws.
  Teachers(const Experiment& student, const Normalization& normalization, std::int64_t batch);

  /// Runs on the images of a step, or of a part of it (train.accumulate). Allocates nothing.
  void answer(const BatchPart& batch);
  /// What they answered last, batch x classes; always the same memory.
  const float* logits() const;

  /// Of their checkpoints' contents: a run that is resumed with other teachers is not the same run.
  std::string digest() const;
  std::vector<std::string> warnings(const Dataset& dataset) const;

 private:
  std::vector<std::unique_ptr<Teacher>> teachers_;
  std::vector<float> mean_;  ///< of several
};

}  // namespace sluice
