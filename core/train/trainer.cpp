#include "core/train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/base/digest.hpp"
#include "core/base/parallel.hpp"
#include "core/base/signals.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/graph/gated_layers.hpp"
#include "core/graph/layer_table.hpp"
#include "core/train/advice.hpp"
#include "core/train/epoch_row.hpp"

namespace sluice {

namespace {

/// Images of each batch that this rank computes.
std::int64_t share(std::int64_t batch, const Communicator& ranks) {
  return batch * (ranks.rank() + 1) / ranks.size() - batch * ranks.rank() / ranks.size();
}

}  // namespace

Trainer::Trainer(Experiment& experiment, RunDirectory& directory, Communicator& ranks, Log& log, double start,
                 const ResumePermission& permission)
    : experiment_(experiment),
      directory_(directory),
      ranks_(ranks),
      log_(log),
      network_(experiment.network()),
      budget_(experiment.train.max_time, TimeBudget::steady_seconds, start) {
  if (experiment.run.precision == Precision::kInt8) {
    throw Error(ExitCode::kUsage, concat(experiment.where("run", "precision"),
                                         ": int8 is for inference; train in fp32 or bf16, then run sluice-deploy "
                                         "--precision=int8"));
  }
  store_ = std::make_unique<CheckpointStore>(directory.checkpoints(), experiment.checkpoint.keep);
  const std::optional<CheckpointStore::Last> last = directory.holds_run() ? store_->last() : std::nullopt;
  open_data(last ? &last->checkpoint : nullptr, permission.accept_changes);
  network_.initialise(static_cast<std::uint64_t>(experiment.run.seed));
  if (!experiment.train.init.empty() && !last) start_from(experiment.train.init);
  ExecutorOptions training = experiment.executor_options(Mode::kTraining, share(experiment.train.part_batch(), ranks));
  if (experiment.distributed.sync_batchnorm && ranks.size() > 1)
    training.share = {&ranks, experiment.train.part_batch()};
  training.seed += static_cast<std::uint64_t>(ranks.rank()) << 32;  // other images, other dropout
  executor_ = std::make_unique<Executor>(network_, training);
  statistics_ = std::make_unique<Statistics>(network_);
  for (const std::string& line : slow_kernels(*executor_)) log_.warning(line);
  if (experiment.train.accumulate > 1)
    gradient_sum_ = Buffer(std::max<std::int64_t>(1, network_.parameter_count()) * 4);
  if (ranks.size() > 1) {
    GradientReducer::Options reduction;
    reduction.wire = experiment.distributed.gradients;
    reducer_ = std::make_unique<GradientReducer>(ranks, step_gradients(), network_.parameter_count(),
                                                 network_.buffer_data(), network_.buffer_count(), reduction);
  }
  optimizer_ =
      std::make_unique<Optimizer>(experiment.optimizer, parameter_ranges(network_), network_.parameter_count());
  schedule_ = std::make_unique<Schedule>(experiment.schedule, experiment.optimizer.lr, pipeline_->batches(),
                                         experiment.train.epochs);
  if (experiment.ema.enabled()) {
    ema_ = std::make_unique<Ema>(experiment.ema, network_.parameter_data(), network_.parameter_count(),
                                 network_.buffer_data(), network_.buffer_count());
  }
  take_teachers();
  if (Mixing{experiment.data.mixup, experiment.data.cutmix}.enabled())
    mixed_loss_ = std::make_unique<MixedLoss>(*executor_, network_);
  early_stopping_ = std::make_unique<EarlyStopping>(watched_metric());
  position_.auxiliary_sums.assign(network_.auxiliary_losses().size(), 0.0);
  if (directory.holds_run() && !last) start_over();
  if (!last || resume(*last, permission)) write_configuration();
  if (const auto rule = early_stopping_->rule()) log_.info(*rule);
  for (const std::string& line : advice_on_min_delta(experiment.early_stopping)) log_.warning(line);
  if (!ranks.is_root()) {
    executor_->reset_statistics();  // the root has those of the epoch so far
    return;
  }
  // The row of an unfinished epoch is written again when the epoch ends.
  metrics_ = std::make_unique<MetricsFiles>(directory.metrics_csv(), directory.metrics_jsonl(),
                                            position_.step - position_.batch);
}

void Trainer::start_from(const std::string& init) {
  const Checkpoint checkpoint = load(init);
  const RestoreReport report = restore_weights(checkpoint, network_, false);
  if (report.restored.empty()) {
    throw Error(ExitCode::kCheckpoint, concat(init, ": none of its ", report.extra.size(),
                                              " tensors belongs to the network; train.init wants the same network"));
  }
  if (!experiment_.train.init_partial && !(report.missing.empty() && report.extra.empty())) {
    const std::string& first = report.missing.empty() ? report.extra.front() : report.missing.front();
    throw Error(ExitCode::kCheckpoint, concat(init, ": lacks ", report.missing.size(),
                                              " of the network's tensors and has ", report.extra.size(), " others, ",
                                              first, " for one; train.init_partial = yes takes what both have"));
  }
  for (const std::string& warning : compare_start(checkpoint, data_)) log_.warning(warning);
  log_.info(concat("starts from the weights of ", init));
  for (const std::string& path : report.missing) log_.info(concat("  without ", path, ", which starts anew"));
  for (const std::string& path : report.extra) log_.info(concat("  leaves out ", path));
}

void Trainer::open_data(const Checkpoint* before, bool accept_changes) {
  const DataOptions& options = experiment_.data;
  data_ = open_training_data(experiment_, before, accept_changes, [this] {
    if (const auto reason = stop_reason())
      throw Error(ExitCode::kStopped, concat("stopped before the first step: ", *reason,
                                             "; nothing is lost, start again with the same command"));
  });
  for (const std::string& warning : data_.warnings) log_.warning(warning);
  PipelineOptions training = training_pipeline(options, data_.normalization, experiment_.train.batch,
                                               static_cast<std::uint64_t>(experiment_.run.seed));
  training.rank = ranks_.rank();
  training.world = ranks_.size();
  training.parts = experiment_.train.accumulate;
  pipeline_ = std::make_unique<Pipeline>(*data_.sets.train, training);
  evaluated_set_ = data_.sets.validation != nullptr ? "val" : "test";
  evaluator_ = std::make_unique<Evaluator>(
      network_, experiment_.executor_options(Mode::kInference, experiment_.eval.batch), data_.evaluated(),
      evaluation_pipeline(options, data_.normalization, experiment_.eval.batch), &ranks_);
}

void Trainer::take_teachers() {
  const DistillationOptions& options = experiment_.distillation;
  if (!options.enabled()) return;
  teachers_ =
      std::make_unique<Teachers>(experiment_, data_.normalization, share(experiment_.train.part_batch(), ranks_));
  distilled_loss_ = std::make_unique<DistilledLoss>(*executor_, network_);
  distilled_loss_->set(teachers_->logits(), &options.weight, &options.temperature);
  for (const std::string& warning : teachers_->warnings(*data_.sets.train)) log_.warning(warning);
  log_.info(concat("learns from ", join(options.teachers, ", "), " with weight ", options.weight, " at temperature ",
                   options.temperature));
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
  if (teachers_ != nullptr) columns.insert(columns.end(), {"train_cross_entropy", "distillation_loss"});
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

Trainer::~Trainer() = default;

TrainingParts Trainer::parts() {
  return {experiment_,      network_,  *executor_, *optimizer_, ema_.get(),          teachers_.get(),
          *early_stopping_, position_, history_,   evaluation_, data_.normalization, data_.sets.train->class_names(),
          data_.description};
}

/// At the end of a training, not of one that had ended before.
void Trainer::advise(const Remarks& at_end) {
  for (const std::string& line : advice_) log_.warning(line);
  if (!at_end) return;
  for (const std::string& line : at_end(network_)) log_.warning(line);
}

ExitCode Trainer::run(const Remarks& at_end, TrainingObserver* observer) {
  executor_->refresh();
  observer_ = ranks_.is_root() ? observer : nullptr;
  if (observer_ != nullptr) observer_->begin(data_, position_.step - position_.batch);
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
                     early_stopping_->state().best_epoch));
  }
  return ExitCode::kDone;
}

Trainer::Outcome Trainer::train_epoch() {
  const double begin = TimeBudget::steady_seconds();
  const double waited = pipeline_->wait_seconds() - position_.data_wait_seconds;
  const double trained = position_.train_seconds;
  const std::int64_t per_epoch = pipeline_->batches() * experiment_.train.batch;
  Progress progress(log_, experiment_.log);
  progress.begin(concat("epoch ", position_.epoch + 1, "/", experiment_.train.epochs), per_epoch, position_.images,
                 (experiment_.train.epochs - position_.epoch - 1) * per_epoch);
  if (position_.batch == 0) executor_->reset_statistics();
  pipeline_->start(position_.epoch, position_.images);
  while (const Batch* batch = pipeline_->next()) {
    const double start = TimeBudget::steady_seconds();
    step(*batch);
    budget_.record_step(TimeBudget::steady_seconds() - start);
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
  const Statistics& statistics = executor_->statistics();
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

/// Of the epoch so far over all ranks. The root takes them over, so that they are counted once.
const Statistics& Trainer::gather_statistics() {
  *statistics_ = executor_->statistics();
  if (ranks_.size() == 1) return *statistics_;
  statistics_->sum_over(ranks_);
  executor_->reset_statistics();
  if (ranks_.is_root()) executor_->add_statistics(*statistics_);
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
  if (teachers_ != nullptr) {
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

bool Trainer::evaluate(MetricsRow& row) {
  std::unique_ptr<Ema::Swap> swap;
  if (ema_ != nullptr) swap = std::make_unique<Ema::Swap>(*ema_, network_.parameter_data(), network_.buffer_data());
  const std::optional<Evaluation> evaluation = evaluator_->run({}, [] { return stop_requested() != 0; });
  if (!evaluation) return false;
  for (const std::string& warning : picture_warnings(data_.evaluated(), *evaluation)) log_.warning(warning);
  budget_.record_evaluation(evaluation->seconds);
  if (evaluation_.empty()) {  // the first one
    for (const std::string& warning : uncounted_layers(network_, evaluation->counts)) log_.warning(warning);
  }
  evaluation_ = statistic_table(network_, evaluation->counts, evaluation->sums);
  advice_ = advice_on_decisions(network_, evaluation->counts);
  row.emplace_back(evaluated_set_ + "_loss", evaluation->loss);
  row.emplace_back(evaluated_set_ + "_accuracy", evaluation->accuracy());
  if (const std::int64_t k = experiment_.eval.top_k; k > 0)
    row.emplace_back(concat(evaluated_set_, "_top", k, "_accuracy"), evaluation->accuracy_among(k));
  append_figures(row, evaluated_set_ + "_", network_, evaluation->counts);
  append_layers(row, evaluated_set_ + "_", network_, evaluation->counts);
  if (observer_ != nullptr) observer_->evaluated(position_.step);
  return true;
}

Trainer::Outcome Trainer::end_epoch(double seconds) {
  MetricsRow row = training_row(seconds);
  const bool last = position_.epoch + 1 == experiment_.train.epochs;
  const bool evaluates = last || (position_.epoch + 1) % experiment_.train.evaluate_every == 0;
  const bool fits = first_rank(ranks_, evaluates && !budget_.evaluation_fits(evaluator_->batches())) < 0;
  if (!fits || (evaluates && !evaluate(row))) {
    checkpoint(false);
    const int signal = stop_requested();
    const std::string reason =
        fits ? signal != 0 ? concat("received ", signal_name(signal)) : "another rank was stopped" : budget_.reason();
    log_.info(concat("stopped before the evaluation of epoch ", position_.epoch + 1, ": ", reason,
                     "; continue with --resume"));
    return Outcome::kStopped;
  }
  for (const std::string& note : data_.sets.train->take_notes()) log_.warning(note);
  bool best = false;
  for (const auto& [name, value] : row) {
    if (name == early_stopping_->metric()) best = early_stopping_->observe(position_.epoch + 1, as_number(value));
  }
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
