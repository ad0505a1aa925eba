// Taking up a run: what may have changed since, where it goes on, and its best checkpoint.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <system_error>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/per_cent.hpp"
#include "core/config/text.hpp"
#include "core/train/epoch_row.hpp"
#include "core/train/old_metrics.hpp"
#include "core/train/trainer.hpp"

namespace sluice {
namespace {

bool same_number(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

/// The rows of `part` are the first ones of `whole`, bit by bit.
bool is_beginning(const HistoryTable& part, const HistoryTable& whole) {
  if (part.rows.empty() || part.rows.size() > whole.rows.size()) return false;
  for (std::size_t c = 0; c < part.columns.size(); ++c) {
    const auto found = std::find(whole.columns.begin(), whole.columns.end(), part.columns[c]);
    if (found == whole.columns.end()) return false;
    const auto column = static_cast<std::size_t>(found - whole.columns.begin());
    for (std::size_t row = 0; row < part.rows.size(); ++row)
      if (!same_number(part.rows[row][c], whole.rows[row][column])) return false;
  }
  return true;
}

/// A metric after so many epochs; NaN where there is none.
double value_after(const HistoryTable& history, double epoch, const std::string& metric) {
  const auto column_of = [&](const std::string& name) {
    const auto found = std::find(history.columns.begin(), history.columns.end(), name);
    return static_cast<std::size_t>(found - history.columns.begin());
  };
  const std::size_t epochs = column_of("epoch"), values = column_of(metric);
  if (epochs == history.columns.size() || values == history.columns.size()) return std::nan("");
  for (const std::vector<double>& row : history.rows)
    if (row[epochs] == epoch) return row[values];
  return std::nan("");
}

/// After how many epochs a checkpoint of this run was evaluated and written. Throws Error(kCheckpoint) for a file that
/// cannot be used, and for one of another run or that nothing was measured of.
double epoch_of(const std::string& path, const HistoryTable& history) {
  const Checkpoint checkpoint = load_without_values(path);
  const auto refuse = [&](const char* why) { throw Error(ExitCode::kCheckpoint, concat(path, ": ", why)); };
  if (checkpoint.kind != Checkpoint::Kind::kFull) refuse("is no full checkpoint");
  if (!is_beginning(checkpoint.history, history)) refuse("is not of this run as it stands");
  const auto step = static_cast<double>(state_value<std::int64_t>(checkpoint, "step"));
  if (last_value(checkpoint.history, "step") != step) refuse("is of the middle of an epoch");
  return last_value(checkpoint.history, "epoch").value_or(std::nan(""));
}

std::string place(const TrainingPosition& position) {
  const std::string images = position.images > 0 ? concat(" and ", position.images, " images") : std::string();
  return concat("after ", position.epoch, position.epoch == 1 ? " epoch" : " epochs", images);
}

}  // namespace

/// The weights are written at the end: where they are, a whole run was, and starting anew would replace them.
void Trainer::start_over() {
  const std::string weights = directory_.weights_file();
  if (std::filesystem::exists(weights)) {
    throw Error(ExitCode::kCheckpoint,
                concat(weights,
                       ": is of a run whose checkpoints are gone, so that it cannot be continued; choose another "
                       "run.dir (train.init = ",
                       weights, " starts from these weights), or move it away"));
  }
  log_.info("the run ended before its first checkpoint: starting from the beginning");
}

bool Trainer::resume(const CheckpointStore::Last& last, const ResumePermission& permission) {
  for (const std::string& warning : last.warnings) log_.warning(warning);
  if (was_per_cent(last.checkpoint)) read_min_delta(last.checkpoint);
  TrainingParts all = parts();
  restore_progress(last.checkpoint, all);
  const std::vector<Change> changes = changes_since(last.checkpoint);
  const bool other_metric = std::any_of(changes.begin(), changes.end(), [](const Change& change) {
    return change.section == "early_stopping" && (change.key == "metric" || change.key == "goal");
  });
  if (other_metric) early_stopping_->restart(epochs_done());
  Config before = Config::stored(last.checkpoint.config, last.path);
  const bool follows =
      experiment_.schedule.follows_epochs() || before.read<ScheduleOptions>("schedule").follows_epochs();
  const AcceptedChanges accepted = judge_changes(
      directory_.path(), changes, {position_.epoch + (position_.images > 0), nothing_left(), follows}, permission);
  accept(accepted);
  for (const std::string& warning : restore_training(last.checkpoint, all)) log_.warning(warning);
  last_saved_step_ = accepted.decides ? -1 : position_.step;
  lr_ = schedule_->lr_at(std::max(0.0, schedule_step() - 1));
  // The run may have been killed between the two files.
  if (ranks_.is_root() && position_.step > 0 && recorded_step() == position_.step &&
      early_stopping_->state().best_epoch == last_value(history_, "epoch"))
    store_->make_best(last.path);
  if (other_metric)
    choose_best("early_stopping.metric or its goal was changed");
  else
    mend_best();
  log_.info(nothing_left() ? complete_text(follows)
                           : concat("resumed from ", last.path, ": epoch ", position_.epoch + 1, ", batch ",
                                    position_.batch, ", step ", position_.step));
  const bool goes_on = !nothing_left() || accepted.decides;
  if (goes_on && was_per_cent(last.checkpoint)) {
    log_.info(concat(last.path,
                     ": is of an older Sluice, which wrote accuracies per cent; they are shares from 0 to 1 "
                     "from here on, in the files of the run too"));
    if (ranks_.is_root()) replace_accuracies(directory_.metrics_csv(), directory_.metrics_jsonl(), history_);
  }
  return goes_on;
}

/// The configuration of a run that began with accuracies per cent may still say so.
void Trainer::read_min_delta(const Checkpoint& checkpoint) {
  constexpr double kPerCent = 100;
  double& ours = experiment_.early_stopping.min_delta;
  const double before =
      Config::stored(checkpoint.config, checkpoint.file).read<EarlyStoppingOptions>("early_stopping").min_delta;
  if (!is_accuracy(early_stopping_->metric()) || ours == 0) return;
  if (std::abs(ours / kPerCent - before) > 1e-6 * before) return;
  log_.warning(concat(experiment_.where("early_stopping", "min_delta"), ": ", ours,
                      " was per cent when this run began, and is read as ", before,
                      "; accuracies are shares from 0 to 1 now: write ", before));
  ours = before;
  early_stopping_->set_min_delta(before);
  experiment_.config.section("early_stopping").find("min_delta")->value = concat(before);
}

/// Names of files may change where what is in them does not.
std::vector<Change> Trainer::changes_since(const Checkpoint& checkpoint) const {
  std::vector<Change> changes = compare(Config::stored(checkpoint.config, checkpoint.file), experiment_.config);
  const std::optional<std::string> before = teachers_of(checkpoint);
  const std::optional<std::string> now =
      step_->teachers() != nullptr ? std::optional<std::string>(step_->teachers()->digest()) : std::nullopt;
  if (before != now) changes.push_back({"distillation", "weights of teacher", before, now, {}});
  return changes;
}

/// And how to go on all the same.
std::string Trainer::complete_text(bool schedule_follows) const {
  constexpr int kMore = 2;  // times
  const std::string done = concat(position_.epoch, position_.epoch == 1 ? " epoch is" : " epochs are", " done");
  const bool early = position_.epoch < experiment_.train.epochs;
  const std::string why = early ? concat(done, ", and it stopped early: ", *early_stopping_->reason_to_stop()) : done;
  const std::string more =
      early ? concat("--early_stopping.patience=", kMore * experiment_.early_stopping.patience)
            : concat("--train.epochs=", kMore * position_.epoch, schedule_follows ? " --extend" : "");
  return concat("complete: ", why, "; nothing is left to do; to go on give --resume ", more, ", for example");
}

void Trainer::accept(const AcceptedChanges& accepted) {
  const auto said = [](const Change& change) {
    const std::string effect = change.role.effect.empty() ? "" : "; " + change.role.effect;
    return concat("changed since the checkpoint: ", to_string(change), effect);
  };
  for (const Change& change : accepted.harmless) log_.info(said(change));
  for (const Change& change : accepted.recorded) {
    if (change.role.role != KeyRole::kRounding) log_.warning(said(change));
    position_.changes.push_back(concat(place(position_), ": ", to_string(change)));
  }
}

bool Trainer::nothing_left() const {
  return position_.epoch >= experiment_.train.epochs || early_stopping_->reason_to_stop().has_value();
}

void Trainer::write_configuration() {
  if (!ranks_.is_root()) return;
  write_file_atomic(directory_.config_file(), kSharesMark + experiment_.config.resolved());
  std::error_code ignored;
  if (position_.changes.empty())
    std::filesystem::remove(directory_.changes_file(), ignored);
  else
    write_file_atomic(directory_.changes_file(), join(position_.changes, "\n") + "\n");
}

/// The weights at the end are those of the best epoch: its checkpoint must be there, before time is spent on training.
void Trainer::mend_best() {
  const EarlyStopping::State& state = early_stopping_->state();
  if (!state.best) return;
  try {
    const double epoch = epoch_of(store_->best_path(), history_);
    if (epoch == state.best_epoch) return;
    choose_best(concat(store_->best_path(), ": is of epoch ", epochs_text(epoch), ", the best one was ",
                       epochs_text(state.best_epoch)));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kCheckpoint) throw;
    choose_best(error.what());
  }
}

/// Among the checkpoints that there are.
void Trainer::choose_best(const std::string& why) {
  std::vector<std::string> paths = {store_->best_path()};
  for (const std::int64_t step : store_->steps()) paths.push_back(store_->path_of(step));
  std::map<double, std::string> by_epoch;
  for (const std::string& path : paths) {
    try {
      by_epoch[epoch_of(path, history_)] = path;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kCheckpoint) throw;  // a file that cannot be used is none to choose
    }
  }
  early_stopping_->forget_best();
  std::string best;
  for (const auto& [epoch, path] : by_epoch) {
    if (early_stopping_->offer(epoch, value_after(history_, epoch, early_stopping_->metric()))) best = path;
  }
  if (best.empty()) {
    log_.warning(concat(why, nothing_left() ? "; the last weights are taken instead"
                                            : "; the best epoch is chosen among those to come"));
    return;
  }
  if (ranks_.is_root() && best != store_->best_path()) store_->make_best(best);
  log_.warning(concat(why, "; of the checkpoints that there are, that of epoch ",
                      epochs_text(early_stopping_->state().best_epoch), " is the best one now"));
}

}  // namespace sluice
