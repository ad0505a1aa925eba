// The data at hand, held against those that a checkpoint was made with: the sets, their classes, their normalisation.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/data/dataset.hpp"
#include "core/data/normalization.hpp"
#include "core/model/trained_network.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// A warning where `dataset` calls a class otherwise than `who` does ("the network of run/weights.h5"). Throws
/// Error(kData) where the names stand in another order, for then labels mean something else. Nothing where one of them
/// has no names.
Warnings compare_class_names(const std::vector<std::string>& known, const std::string& who, const Dataset& dataset);

/// Opens a set for a network that `checkpoint` holds, which must fit it; images are held out as they were in training.
/// Throws Error(kData), also where Split::kValidation would hold no images or some that were trained on; then it names
/// the test set by the program's `flag` for splits ("split").
std::shared_ptr<const Dataset> open_known(const Experiment& experiment, const Checkpoint& checkpoint, Split split,
                                          const std::string& flag, Warnings& warnings);

/// The data of a training.
struct TrainingData {
  TrainingSets sets;
  std::shared_ptr<const Dataset> test;  ///< null where images are held out to validate on
  Normalization normalization;
  DataDescription description;
  Warnings warnings;

  const Dataset& evaluated() const { return sets.validation != nullptr ? *sets.validation : *test; }
};

/// Opens and describes the data of an experiment, and measures the normalisation where it is not known. `before`: the
/// checkpoint that the run goes on from, or null; its normalisation and its held-out images stay. Throws Error(kData)
/// where the data are not those of `before`: with `accept_changes` only where that would validate on images that were
/// trained on, or where labels mean other classes.
TrainingData open_training_data(const Experiment& experiment, const Checkpoint* before, bool accept_changes,
                                const StopCheck& check_stop);

/// Holds the data of a new run against those of the checkpoint that its weights start from (train.init).
Warnings compare_start(const Checkpoint& init, const TrainingData& data);

}  // namespace sluice
