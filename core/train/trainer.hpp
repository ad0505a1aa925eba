// The training loop: epochs of steps, evaluations, metrics and checkpoints; stops and resumes at any step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/checkpoint/store.hpp"
#include "core/data/pipeline.hpp"
#include "core/distributed/communicator.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/experiment.hpp"
#include "core/train/known_data.hpp"
#include "core/train/metrics.hpp"
#include "core/train/observer.hpp"
#include "core/train/progress.hpp"
#include "core/train/run_changes.hpp"
#include "core/train/run_directory.hpp"
#include "core/train/statistics_pass.hpp"
#include "core/train/time_budget.hpp"
#include "core/train/training_checkpoint.hpp"
#include "core/train/training_step.hpp"

namespace sluice {

/// One training run in its directory. Everything is made in the constructor; `run` trains.
class Trainer {
 public:
  /// Opens data and run directory, makes the executors, and takes up the newest checkpoint where the directory holds a
  /// run that may go on with this configuration. Experiment and ranks must outlive it. Of several ranks only the root
  /// writes files and says things; the others are made when it is there, and do not communicate meanwhile. Throws
  /// Error: kData, kEnvironment, kCheckpoint, kUsage. `start`: when the process began (TimeBudget::steady_seconds), for
  /// train.max_time.
  Trainer(Experiment& experiment, RunDirectory& directory, Communicator& ranks, Log& log, double start,
          const ResumePermission& permission = {});
  ~Trainer();

  /// What a plug-in has to say of the network when training is over, as warnings; by the epochs that were trained, and
  /// what the last evaluation counted.
  using Remarks = std::function<std::vector<std::string>(const Network&, const AuxiliaryStep&)>;
  /// Trains to the end (kDone), or until a stop signal or the time budget of any rank (kStopped, after a checkpoint).
  /// Throws Error(kDiverged) on NaN or Inf, before the update; the last checkpoint stays as it was. Every rank computes
  /// its share of each batch; losses, gradients and running statistics are means over all images of the batch, so that
  /// all ranks hold the same weights.
  /// `observer`, if any, must outlive the call.
  ExitCode run(const Remarks& at_end = {}, TrainingObserver* observer = nullptr);

  /// Of the images, given or measured.
  const Normalization& normalization() const { return data_.normalization; }

 private:
  enum class Outcome { kContinue, kStopped };

  void open_data(const Checkpoint* before, bool accept_changes);
  EarlyStoppingOptions watched_metric();
  void measure_first_values();
  void start_over();
  /// False where the run had ended and nothing about it changes.
  bool resume(const CheckpointStore::Last& last, const ResumePermission& permission);
  void read_min_delta(const Checkpoint& checkpoint);
  std::vector<Change> changes_since(const Checkpoint& checkpoint) const;
  void accept(const AcceptedChanges& accepted);
  bool nothing_left() const;
  std::string complete_text(bool schedule_follows) const;
  void mend_best();
  void choose_best(const std::string& why);
  void write_configuration();
  double schedule_step() const;
  double epochs_done() const;
  std::int64_t recorded_step() const;
  Outcome train_epoch();
  std::vector<LinePart> live_figures() const;
  void step(const Batch& batch);
  bool evaluation_is_due() const;
  Outcome evaluate_within_epoch();
  const Statistics& gather_statistics();
  Outcome end_epoch();
  std::optional<std::string> evaluate_in_time(MetricsRow& row);
  bool evaluate(MetricsRow& row);  ///< false: a stop signal came meanwhile
  bool evaluate_weights(MetricsRow& row);
  bool compares() const;
  bool watch(const MetricsRow& row, double epoch);
  std::optional<std::string> stop_reason() const;
  std::optional<std::string> common_stop_reason() const;
  Outcome stop(const std::string& where, const std::string& reason);
  bool save_due() const;
  bool common_save_due() const;
  void checkpoint(bool best);
  MetricsRow training_row();
  void record(const MetricsRow& row);
  std::vector<std::string> shown_columns() const;
  std::string work_of_best() const;
  void advise(const Remarks& at_end);
  void write_weights();
  TrainingParts parts();

  Experiment& experiment_;
  RunDirectory& directory_;
  Communicator& ranks_;
  Log& log_;
  Network& network_;
  TrainingData data_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<Evaluator> evaluator_;
  std::string evaluated_set_;  ///< "val" or "test": the prefix of its columns
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<StatisticsPass> statistics_pass_;  ///< of the weights that are evaluated
  std::unique_ptr<EarlyStopping> early_stopping_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<MetricsFiles> metrics_;
  TrainingObserver* observer_ = nullptr;  ///< of the root
  TimeBudget budget_;
  TrainingPosition position_;
  HistoryTable history_;
  StatisticTable evaluation_;               ///< of the last evaluation
  CountsByNode counts_;                     ///< by it
  std::vector<std::string> advice_;         ///< likewise
  std::unique_ptr<Statistics> statistics_;  ///< of the epoch, over all ranks
  std::int64_t last_saved_step_ = -1;
  double last_saved_time_ = 0;
  double lr_ = 0;
  KeptRoom line_room_;  ///< of the lines of progress
};

}  // namespace sluice
