// Where a training stands, in the /state and /run of its checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/train/early_stopping.hpp"

namespace sluice {

/// Where a run stands, and the sums of the epoch it is in.
struct TrainingPosition {
  /// Of a network with so many auxiliary losses.
  explicit TrainingPosition(std::size_t losses = 0) : auxiliary_sums(losses) {}
  /// To the beginning of the next epoch.
  void end_epoch();

  std::int64_t epoch = 0;   ///< whole epochs done
  std::int64_t images = 0;  ///< done of the next one
  std::int64_t batch = 0;   ///< the steps that did them; of different sizes where train.batch was changed
  std::int64_t step = 0;
  double loss_sum = 0;  ///< over the images of the unfinished epoch, as are the next two
  std::vector<double> auxiliary_sums;
  double divergence_sum = 0;  ///< from a teacher, likewise
  double gradient_norm = 0;   ///< of the last step
  double data_wait_seconds = 0, train_seconds = 0;
  double elapsed_seconds = 0;        ///< training time of all sessions of the run
  std::vector<std::string> changes;  ///< of the configuration since the run began, a line each
};

/// A value of /state. Throws Error(kCheckpoint) where there is none of that type.
template <class T>
T state_value(const Checkpoint& checkpoint, const std::string& key) {
  const auto found = checkpoint.state.find(key);
  if (found == checkpoint.state.end() || !std::holds_alternative<T>(found->second)) {
    throw Error(ExitCode::kCheckpoint,
                concat(checkpoint.file, ": /state has no ", key, " of the right type; resume from another checkpoint"));
  }
  return std::get<T>(found->second);
}

void save_early_stopping(Checkpoint& checkpoint, const EarlyStopping& early);
void restore_early_stopping(const Checkpoint& checkpoint, EarlyStopping& early);

void save_position(Checkpoint& checkpoint, const TrainingPosition& position);
/// Also from files that counted steps. `auxiliary_sums` has its size already.
void restore_position(const Checkpoint& checkpoint, TrainingPosition& position);

}  // namespace sluice
