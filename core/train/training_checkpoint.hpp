// Between a training run and its checkpoints: everything that a resumed run needs to continue bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/data/normalization.hpp"
#include "core/graph/executor.hpp"
#include "core/model/network_checkpoint.hpp"
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

/// A full checkpoint of the run as it stands.
Checkpoint make_checkpoint(const TrainingParts& parts);
/// The same without the state of the training: weights (the averaged ones where there are any), buffers, and what is
/// needed to use them.
Checkpoint weights_of(Checkpoint full);

/// Puts back where the run stood: position and early stopping. Throws Error(kCheckpoint).
void restore_progress(const Checkpoint& checkpoint, TrainingParts& parts);

/// The digest of the teachers that the run has learned from, or nothing.
std::optional<std::string> teachers_of(const Checkpoint& checkpoint);

/// Puts everything else back. An average and an optimiser's memory that the checkpoint does not have start anew. Throws
/// Error(kCheckpoint) where the checkpoint does not fit. Returns warnings: what starts anew, and what differs between
/// this run and the one that wrote it (threads, instruction set, versions, precision), which may change the last bits.
std::vector<std::string> restore_training(const Checkpoint& checkpoint, TrainingParts& parts);

}  // namespace sluice
