// Evaluations of a training, at ends of epochs and within them.
#include <cmath>

#include "core/base/signals.hpp"
#include "core/graph/decided_counts.hpp"
#include "core/graph/gated_layers.hpp"
#include "core/train/advice.hpp"
#include "core/train/epoch_row.hpp"
#include "core/train/trainer.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kComparedImages = 2048;  // enough to know what training counts to a part of a per cent

}  // namespace

bool Trainer::evaluation_is_due() const {
  const std::int64_t every = experiment_.train.evaluate_every_steps;
  return every > 0 && position_.step > 0 && position_.step % every == 0 && recorded_step() != position_.step;
}

/// Between two steps.
Trainer::Outcome Trainer::evaluate_within_epoch() {
  MetricsRow row = {{"epoch", epochs_done()}, {"step", position_.step}, {"lr", lr_}};
  if (const auto reason = evaluate_in_time(row))
    return stop(concat("before the evaluation at step ", position_.step), *reason);
  const bool best = watch(row, epochs_done());
  record(row);
  if (!best && !early_stopping_->reason_to_stop()) return Outcome::kContinue;
  last_saved_step_ = -1;  // what was saved here lacks the row
  checkpoint(best);
  return Outcome::kContinue;
}

/// Why there was no evaluation: a signal, or no time for it.
std::optional<std::string> Trainer::evaluate_in_time(MetricsRow& row) {
  if (first_rank(ranks_, !budget_.evaluation_fits(evaluator_->batches())) >= 0) return budget_.reason();
  if (evaluate(row)) return std::nullopt;
  const int signal = stop_requested();
  return signal != 0 ? concat("received ", signal_name(signal)) : "another rank was stopped";
}

bool Trainer::evaluate(MetricsRow& row) {
  if (ema_ == nullptr) return evaluate_weights(row);
  bool done = false;
  {
    const Ema::Swap swap(*ema_, network_.parameter_data(), network_.buffer_data());
    done = evaluate_weights(row);
  }
  if (statistics_pass_ != nullptr) step_->executor().refresh();
  return done;
}

/// Evaluations have something to say to auxiliary losses. Images of the test set have not: no weight depends on them.
bool Trainer::compares() const {
  return data_.sets.validation != nullptr && any_wants_counts(network_);
}

/// Those that the network holds now.
bool Trainer::evaluate_weights(MetricsRow& row) {
  const double start = TimeBudget::steady_seconds();
  const std::int64_t compared = (kComparedImages - 1) / experiment_.train.batch + 1;
  if (experiment_.ema.statistics_batches > 0)
    statistics_pass_->run(position_.epoch, experiment_.ema.statistics_batches);
  const CountsByNode trained = compares() ? statistics_pass_->counts(position_.epoch, compared) : CountsByNode();
  const std::optional<Evaluation> evaluation = evaluator_->run({}, [] { return stop_requested() != 0; });
  if (!evaluation) return false;
  together(ranks_, [&] {
    if (!std::isfinite(evaluation->loss))
      throw Error(ExitCode::kDiverged, diverged_text(position_, "the loss of the evaluation", evaluation->loss, ""));
  });
  for (const std::string& warning : picture_warnings(data_.evaluated(), *evaluation)) log_.warning(warning);
  budget_.record_evaluation(TimeBudget::steady_seconds() - start);
  if (evaluation_.empty()) {  // the first one
    for (const std::string& warning : uncounted_layers(network_, evaluation->counts)) log_.warning(warning);
  }
  evaluation_ = statistic_table(network_, evaluation->counts, evaluation->sums);
  counts_ = evaluation->counts;
  if (compares()) {
    for (const auto& loss : network_.auxiliary_losses())
      loss.second->compare(network_, epochs_done(), counts_, trained);
  }
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

/// Whether it is the best so far.
bool Trainer::watch(const MetricsRow& row, double epoch) {
  bool best = false;
  for (const auto& [name, value] : row) {
    if (name == early_stopping_->metric()) best = early_stopping_->observe(epoch, as_number(value));
  }
  return best;
}

}  // namespace sluice
