#include "core/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/base/digest.hpp"
#include "core/base/signals.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
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
      budget_(experiment.train.max_time, TimeBudget::steady_seconds, start) {
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
  if (experiment.ema.statistics_batches > 0) {
    statistics_pass_ = std::make_unique<StatisticsPass>(step_->executor(), network_, *data_.sets.train,
                                                        training_batches(experiment, data_.normalization, ranks),
                                                        experiment.train.accumulate, ranks);
  }
  early_stopping_ = std::make_unique<EarlyStopping>(watched_metric());
  position_.auxiliary_sums.assign(network_.auxiliary_losses().size(), 0.0);
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
  if (data_.sets.validation == nullptr && options.metric.rfind("val_", 0) == 0) {
    options.metric.replace(0, 4, "test_");
    log_.warning(
        "no images are held out for validation: the best checkpoint is chosen on the test set; set data.validation");
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
  for (const std::string& line : at_end(network_)) log_.warning(line);
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
                     epochs_text(early_stopping_->state().best_epoch)));
  }
  return ExitCode::kDone;
}

Trainer::Outcome Trainer::train_epoch() {
  double begin = TimeBudget::steady_seconds();
  const double waited = pipeline_->wait_seconds() - position_.data_wait_seconds;
  const double trained = position_.train_seconds;
  const std::int64_t per_epoch = pipeline_->batches() * experiment_.train.batch;
  Progress progress(log_, experiment_.log);
  progress.begin(concat("epoch ", position_.epoch + 1, "/", experiment_.train.epochs), per_epoch, position_.images,
                 (experiment_.train.epochs - position_.epoch - 1) * per_epoch);
  if (position_.batch == 0) step_->executor().reset_statistics();
  pipeline_->start(position_.epoch, position_.images);
  while (const Batch* batch = pipeline_->next()) {
    const double start = TimeBudget::steady_seconds();
    if (evaluation_is_due()) {
      if (!evaluate_within_epoch()) return Outcome::kStopped;
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
      checkpoint(false);
      log_.info(concat("stopped at epoch ", position_.epoch + 1, ", step ", position_.step, ": ", *reason,
                       "; continue with --resume"));
      return Outcome::kStopped;
    }
    if (common_save_due()) checkpoint(false);
  }
  progress.end();
  return end_epoch(position_.train_seconds);
}

/// Of the epoch that is running.
std::vector<LinePart> Trainer::live_figures() const {
  const Statistics& statistics = step_->executor().statistics();
  const double loss = position_.loss_sum / static_cast<double>(position_.images);
  std::vector<LinePart> figures = {{concat("loss ", fixed(loss, 4)), concat("loss ", fixed(loss, 2)), 85}};
  if (const std::int64_t images = statistics.count(Role::kImages); images > 0) {
    const double percent = 100.0 * static_cast<double>(statistics.count(Role::kCorrect)) / static_cast<double>(images);
    figures.push_back({concat("accuracy ", fixed(percent, 2), " %"), concat("acc ", fixed(percent, 1), "%"), 80});
  }
  append_live_metrics(figures, network_, statistics.counts_by_node());
  figures.push_back({concat("lr ", lr_), "", 30});
  return figures;
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

/// Of the last row of metrics; 0 where there is none.
std::int64_t Trainer::recorded_step() const {
  return static_cast<std::int64_t>(last_value(history_, "step").value_or(0));
}

std::optional<std::string> Trainer::stop_reason() const {
  if (const int signal = stop_requested(); signal != 0) return concat("received ", signal_name(signal));
  if (!budget_.step_fits()) return budget_.reason();
  return std::nullopt;
}

/// Why all stop now, if they do.
std::optional<std::string> Trainer::common_stop_reason() const {
  std::optional<std::string> reason = stop_reason();
  if (ranks_.size() == 1) return reason;
  if (!step_->wishes().stop) return std::nullopt;
  const int rank = first_rank(ranks_, reason.has_value());
  return broadcast(ranks_, concat(rank_name(ranks_.rank(), host_name()), " ", reason.value_or("")), rank);
}

bool Trainer::save_due() const {
  const double interval = experiment_.checkpoint.interval;
  return interval > 0 && TimeBudget::steady_seconds() - last_saved_time_ > interval;
}

bool Trainer::common_save_due() const {
  return ranks_.size() == 1 ? save_due() : step_->wishes().save;
}

/// Of the epoch so far over all ranks. The root takes them over, so that they are counted once.
const Statistics& Trainer::gather_statistics() {
  Executor& executor = step_->executor();
  *statistics_ = executor.statistics();
  if (ranks_.size() == 1) return *statistics_;
  statistics_->sum_over(ranks_);
  executor.reset_statistics();
  if (ranks_.is_root()) executor.add_statistics(*statistics_);
  return *statistics_;
}

MetricsRow Trainer::training_row(double seconds) {
  const double trained = static_cast<double>(position_.images);
  const Statistics& statistics = gather_statistics();
  const std::int64_t correct = statistics.count(Role::kCorrect), images = statistics.count(Role::kImages);
  const double cross_entropy = statistics.sum(Role::kLoss);
  MetricsRow row = {{"epoch", position_.epoch + 1},
                    {"step", position_.step},
                    {"lr", lr_},
                    {"train_loss", position_.loss_sum / trained}};
  if (images > 0) row.emplace_back("train_accuracy", static_cast<double>(correct) / static_cast<double>(images));
  if (step_->teachers() != nullptr) {
    row.emplace_back("train_cross_entropy", cross_entropy / static_cast<double>(std::max<std::int64_t>(1, images)));
    row.emplace_back("distillation_loss", position_.divergence_sum / trained);
  }
  for (std::size_t i = 0; i < position_.auxiliary_sums.size(); ++i) {
    row.emplace_back(network_.auxiliary_losses()[i].first, position_.auxiliary_sums[i] / trained);
  }
  append_figures(row, "", network_, statistics.counts_by_node());
  row.emplace_back("gradient_norm", position_.gradient_norm);
  row.emplace_back("seconds", seconds);
  row.emplace_back("images_per_second", static_cast<double>(images) / std::max(1e-9, seconds));
  row.emplace_back("data_wait_percent", 100.0 * position_.data_wait_seconds / std::max(1e-9, seconds));
  return row;
}

Trainer::Outcome Trainer::end_epoch(double seconds) {
  MetricsRow row = training_row(seconds);
  const bool last = position_.epoch + 1 == experiment_.train.epochs;
  const bool evaluates = last || evaluation_is_due() || (position_.epoch + 1) % experiment_.train.evaluate_every == 0;
  const std::optional<std::string> reason = evaluates ? evaluate_in_time(row) : std::nullopt;
  if (reason) {
    checkpoint(false);
    log_.info(concat("stopped before the evaluation of epoch ", position_.epoch + 1, ": ", *reason,
                     "; continue with --resume"));
    return Outcome::kStopped;
  }
  for (const std::string& note : data_.sets.train->take_notes()) log_.warning(note);
  const bool best = watch(row, static_cast<double>(position_.epoch + 1));
  record(row);
  position_.elapsed_seconds += seconds;
  ++position_.epoch;
  position_.images = position_.batch = 0;
  position_.loss_sum = position_.divergence_sum = position_.train_seconds = position_.data_wait_seconds = 0;
  std::fill(position_.auxiliary_sums.begin(), position_.auxiliary_sums.end(), 0.0);
  const bool early = early_stopping_->reason_to_stop().has_value();
  if (best || last || early || position_.epoch % experiment_.checkpoint.every_epochs == 0) checkpoint(best);
  return Outcome::kContinue;
}

void Trainer::record(const MetricsRow& row) {
  if (metrics_ != nullptr) metrics_->write(row);
  if (observer_ != nullptr) observer_->measured(row);
  append_row(history_, row);
  log_.figures(row_line(row, experiment_.train.epochs));
}

void Trainer::checkpoint(bool best) {
  const double start = TimeBudget::steady_seconds();
  gather_statistics();
  if (ranks_.is_root() && (position_.step != last_saved_step_ || best || position_.batch == 0)) {
    store_->save(make_checkpoint(parts()), position_.step, best);
  }
  last_saved_step_ = position_.step;
  last_saved_time_ = TimeBudget::steady_seconds();
  budget_.record_checkpoint(last_saved_time_ - start);
}

void Trainer::write_weights() {
  if (!ranks_.is_root()) return;
  mend_best();
  const std::string path = directory_.weights_file();
  save(weights_of(early_stopping_->state().best ? load(store_->best_path()) : make_checkpoint(parts())), path);
  log_.info(concat("weights of the best epoch: ", path, "; digest of the last weights ",
                   digest_hex(network_.parameter_data(), network_.parameter_count() * 4)));
}

}  // namespace sluice
