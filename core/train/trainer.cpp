#include "core/train/trainer.hpp"

#include <algorithm>
#include <cmath>

#include "core/checkpoint/history_column.hpp"
#include "core/train/advice.hpp"
#include "core/train/epoch_row.hpp"
#include "core/train/first_weights.hpp"

namespace sluice {

Trainer::Trainer(Experiment& experiment, RunDirectory& directory, Communicator& ranks, Log& log, double start,
                 const ResumePermission& permission)
    : experiment_(experiment),
      directory_(directory),
      ranks_(ranks),
      log_(log),
      network_(experiment.network()),
      budget_(experiment.train.max_time, TimeBudget::steady_seconds, start),
      position_(network_.auxiliary_losses().size()) {
  check_trainable(experiment);
  store_ = std::make_unique<CheckpointStore>(directory.checkpoints(), experiment.checkpoint.keep);
  const std::optional<CheckpointStore::Last> last = directory.holds_run() ? store_->last() : std::nullopt;
  open_data(last ? &last->checkpoint : nullptr, permission.accept_changes);
  network_.initialise(static_cast<std::uint64_t>(experiment.run.seed));
  const bool measures = !last && take_first_weights(experiment, network_, data_, log);
  step_ = std::make_unique<TrainingStep>(experiment, data_, ranks, log, [this] {
    return RankWishes{stop_reason().has_value(), save_due()};
  });
  if (measures) measure_first_values();
  statistics_ = std::make_unique<Statistics>(network_);
  schedule_ = std::make_unique<Schedule>(experiment.schedule, experiment.optimizer.lr, pipeline_->batches(),
                                         experiment.train.epochs);
  if (experiment.ema.enabled()) {
    ema_ = std::make_unique<Ema>(experiment.ema, network_.parameter_data(), network_.parameter_count(),
                                 network_.buffer_data(), network_.buffer_count());
  }
  if (experiment.ema.statistics_batches > 0 || compares()) {
    statistics_pass_ = std::make_unique<StatisticsPass>(step_->executor(), network_, *data_.sets.train,
                                                        training_batches(experiment, data_.normalization, ranks),
                                                        experiment.train.accumulate, ranks);
  }
  early_stopping_ = std::make_unique<EarlyStopping>(watched_metric());
  if (directory.holds_run() && !last) start_over();
  if (!last || resume(*last, permission)) write_configuration();
  if (const auto rule = early_stopping_->rule()) log_.info(*rule);
  for (const std::string& line : advice_on_min_delta(experiment.early_stopping)) log_.warning(line);
  if (!ranks.is_root()) {
    step_->executor().reset_statistics();  // the root has those of the epoch so far
    return;
  }
  metrics_ = std::make_unique<MetricsFiles>(directory.metrics_csv(), directory.metrics_jsonl(), recorded_step());
}

void Trainer::open_data(const Checkpoint* before, bool accept_changes) {
  const DataOptions& options = experiment_.data;
  data_ = open_training_data(experiment_, before, accept_changes, [this] {
    if (const auto reason = stop_reason())
      throw Error(ExitCode::kStopped, concat("stopped before the first step: ", *reason,
                                             "; nothing is lost, start again with the same command"));
  });
  for (const std::string& warning : data_.warnings) log_.warning(warning);
  pipeline_ = std::make_unique<Pipeline>(*data_.sets.train, training_batches(experiment_, data_.normalization, ranks_));
  evaluated_set_ = data_.sets.validation != nullptr ? "val" : "test";
  evaluator_ = std::make_unique<Evaluator>(
      network_, experiment_.executor_options(Mode::kInference, experiment_.eval.batch), data_.evaluated(),
      evaluation_pipeline(options, data_.normalization, experiment_.eval.batch), &ranks_);
}

/// The metric that decides which checkpoint is best must be a column that evaluations write.
EarlyStoppingOptions Trainer::watched_metric() {
  EarlyStoppingOptions options = experiment_.early_stopping;
  for (const std::string& warning : advice_on_validation(options, data_.sets.validation.get())) {
    options.metric.replace(0, 4, "test_");
    log_.warning(warning);
  }
  std::vector<std::string> columns = {evaluated_set_ + "_accuracy", evaluated_set_ + "_loss"};
  if (const std::int64_t k = experiment_.eval.top_k; k > 0)
    columns.push_back(concat(evaluated_set_, "_top", k, "_accuracy"));
  for (const std::string& column : figure_columns(evaluated_set_ + "_", network_)) columns.push_back(column);
  columns.insert(columns.end(), {"train_accuracy", "train_loss"});
  if (step_->teachers() != nullptr) columns.insert(columns.end(), {"train_cross_entropy", "distillation_loss"});
  for (const auto& loss : network_.auxiliary_losses()) columns.push_back(loss.first);
  for (const std::string& column : figure_columns("", network_)) columns.push_back(column);
  if (std::find(columns.begin(), columns.end(), options.metric) == columns.end()) {
    std::string known;
    for (const std::string& column : columns) known += (known.empty() ? "" : ", ") + column;
    throw Error(ExitCode::kUsage, concat(experiment_.config.section("early_stopping").where("metric"), ": no metric '",
                                         options.metric, "'; this run has ", known));
  }
  return options;
}

void Trainer::measure_first_values() {
  pipeline_->start(0);
  if (const Batch* const batch = pipeline_->next()) step_->measure(*batch);
}

Trainer::~Trainer() = default;

TrainingParts Trainer::parts() {
  return {experiment_,      network_,          step_->executor(),   step_->optimizer(),
          ema_.get(),       step_->teachers(), *early_stopping_,    position_,
          history_,         evaluation_,       data_.normalization, data_.sets.train->class_names(),
          data_.description};
}

/// At the end of a training, not of one that had ended before.
void Trainer::advise(const Remarks& at_end) {
  for (const std::string& line : advice_) log_.warning(line);
  if (!at_end) return;
  const AuxiliaryStep last{static_cast<double>(position_.epoch), counts_};
  for (const std::string& line : at_end(network_, last)) log_.warning(line);
}

ExitCode Trainer::run(const Remarks& at_end, TrainingObserver* observer) {
  step_->executor().refresh();
  observer_ = ranks_.is_root() ? observer : nullptr;
  if (observer_ != nullptr) observer_->begin(data_, recorded_step());
  last_saved_time_ = TimeBudget::steady_seconds();
  const std::int64_t before = position_.step;
  while (position_.epoch < experiment_.train.epochs) {
    if (const auto early = early_stopping_->reason_to_stop()) {
      log_.info(concat("stopped early: ", *early));
      break;
    }
    if (train_epoch() == Outcome::kStopped) return ExitCode::kStopped;
  }
  if (position_.step > before) advise(at_end);
  write_weights();
  if (early_stopping_->state().best) {
    const std::string& metric = early_stopping_->metric();
    log_.info(concat("done: best ", metric, " ", metric_text(metric, *early_stopping_->state().best), " after epoch ",
                     epochs_text(early_stopping_->state().best_epoch), work_of_best()));
  }
  return ExitCode::kDone;
}

Trainer::Outcome Trainer::train_epoch() {
  double begin = TimeBudget::steady_seconds();
  const double waited = pipeline_->wait_seconds() - position_.data_wait_seconds;
  const double trained = position_.train_seconds;
  const std::int64_t per_epoch = pipeline_->batches() * experiment_.train.batch;
  Progress progress(log_, experiment_.log, line_room_);
  progress.begin(concat("epoch ", position_.epoch + 1, "/", experiment_.train.epochs), per_epoch, position_.images,
                 (experiment_.train.epochs - position_.epoch - 1) * per_epoch);
  if (position_.batch == 0) step_->executor().reset_statistics();
  pipeline_->start(position_.epoch, position_.images);
  while (const Batch* batch = pipeline_->next()) {
    const double start = TimeBudget::steady_seconds();
    if (evaluation_is_due()) {
      if (evaluate_within_epoch() == Outcome::kStopped) return Outcome::kStopped;
      if (early_stopping_->reason_to_stop()) return Outcome::kContinue;
      begin += TimeBudget::steady_seconds() - start;
    }
    step(*batch);
    position_.train_seconds = trained + TimeBudget::steady_seconds() - begin;
    position_.data_wait_seconds = pipeline_->wait_seconds() - waited;
    progress.advance(batch->whole);
    if (progress.due()) progress.show(live_figures());
    if (const auto reason = common_stop_reason()) {
      progress.end();
      return stop(concat("at epoch ", position_.epoch + 1, ", step ", position_.step), *reason);
    }
    if (common_save_due()) checkpoint(false);
  }
  progress.end();
  return end_epoch();
}

void Trainer::step(const Batch& batch) {
  const double start = TimeBudget::steady_seconds();
  lr_ = schedule_->lr_at(schedule_step());
  step_->run(batch, lr_, position_);
  if (ema_ != nullptr) ema_->update(network_.parameter_data(), network_.buffer_data());
  budget_.record_step(TimeBudget::steady_seconds() - start);
}

double Trainer::schedule_step() const {
  const double done = static_cast<double>(position_.images) / static_cast<double>(experiment_.train.batch);
  const auto per_epoch = static_cast<double>(pipeline_->batches());
  return static_cast<double>(position_.epoch) * per_epoch + std::min(done, per_epoch);
}

/// For rows: 2.5 in the middle of the third epoch.
double Trainer::epochs_done() const {
  constexpr double kDigits = 1e6;
  return std::round(kDigits * schedule_step() / static_cast<double>(pipeline_->batches())) / kDigits;
}

Trainer::Outcome Trainer::end_epoch() {
  MetricsRow row = training_row();
  const bool last = position_.epoch + 1 == experiment_.train.epochs;
  const bool evaluates = last || evaluation_is_due() || (position_.epoch + 1) % experiment_.train.evaluate_every == 0;
  if (const auto reason = evaluates ? evaluate_in_time(row) : std::nullopt)
    return stop(concat("before the evaluation of epoch ", position_.epoch + 1), *reason);
  for (const std::string& note : data_.sets.train->take_notes()) log_.warning(note);
  const bool best = watch(row, static_cast<double>(position_.epoch + 1));
  record(row);
  position_.end_epoch();
  const bool early = early_stopping_->reason_to_stop().has_value();
  if (best || last || early || position_.epoch % experiment_.checkpoint.every_epochs == 0) checkpoint(best);
  return Outcome::kContinue;
}

}  // namespace sluice
