// Between a training run and its checkpoints: everything that a resumed run needs to continue bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/restore.hpp"
#include "core/data/normalization.hpp"
#include "core/graph/executor.hpp"
#include "core/train/early_stopping.hpp"
#include "core/train/ema.hpp"
#include "core/train/experiment.hpp"
#include "core/train/optimizer.hpp"
#include "core/train/teacher.hpp"
#include "core/train/training_state.hpp"

namespace sluice {

/// The parts of a running training; the trainer owns them.
struct TrainingParts {
  const Experiment& experiment;
  Network& network;
  Executor& executor;  ///< its statistics are those of the unfinished epoch
  Optimizer& optimizer;
  Ema* ema = nullptr;
  const Teachers* teachers = nullptr;
  EarlyStopping& early_stopping;
  TrainingPosition& position;
  HistoryTable& history;
  StatisticTable& evaluation;  ///< of the last evaluation
  Normalization normalization;
  std::vector<std::string> class_names;
  const DataDescription& data;
};

/// One slot for each user of a parameter, "<user>/<parameter>"; those after the first share its memory. `arena` is the
/// network's own or one that is laid out like it.
std::vector<TensorSlot> parameter_slots(const Network& network, float* arena);
std::vector<TensorSlot> buffer_slots(const Network& network, float* arena);

/// Counts and sums by node as a table by names; layers without statistics are left out.
StatisticTable statistic_table(const Network& network, const std::vector<std::vector<std::int64_t>>& counts,
                               const std::vector<std::vector<double>>& sums);

/// A full checkpoint of the run as it stands.
Checkpoint make_checkpoint(const TrainingParts& parts);
/// The same without the state of the training: weights (the averaged ones where there are any), buffers, and what is
/// needed to use them.
Checkpoint weights_of(Checkpoint full);

/// The normalisation of images that a checkpoint holds, if it does. Throws Error(kCheckpoint) unless it has a finite
/// mean and a finite std above 0 for each channel.
std::optional<Normalization> stored_normalization(const Checkpoint& checkpoint, std::int64_t channels);

/// A weights-only checkpoint of a network whose tensors came from elsewhere: epoch 0, no history.
Checkpoint untrained_checkpoint(const Experiment& experiment, const Normalization& normalization);

/// The experiment that a checkpoint describes, with overrides as on a command line, of the types in `registry`, which
/// must outlive it. Threads and what else belongs to the machine (forget_of_machine) are as the overrides say. The
/// network is as it was made: restore_weights puts the weights in. Throws Error(kUsage) where a
/// type or key is unknown, and names the plug-ins that the checkpoint was made with.
Experiment trained_experiment(const Checkpoint& checkpoint, const Registry& registry,
                              const std::vector<std::string>& overrides = {});

/// Puts back where the run stood: position and early stopping. Throws Error(kCheckpoint).
void restore_progress(const Checkpoint& checkpoint, TrainingParts& parts);

/// The digest of the teachers that the run has learned from, or nothing.
std::optional<std::string> teachers_of(const Checkpoint& checkpoint);

/// Puts everything else back. An average and an optimiser's memory that the checkpoint does not have start anew. Throws
/// Error(kCheckpoint) where the checkpoint does not fit. Returns warnings: what starts anew, and what differs between
/// this run and the one that wrote it (threads, instruction set, versions, precision), which may change the last bits.
std::vector<std::string> restore_training(const Checkpoint& checkpoint, TrainingParts& parts);

/// Puts weights and buffers into a network, the averaged ones where the checkpoint has them. `strict` as for `restore`.
RestoreReport restore_weights(const Checkpoint& checkpoint, Network& network, bool strict = true);

}  // namespace sluice
