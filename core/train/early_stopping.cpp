// Patience and best value of one metric.
#include "core/train/early_stopping.hpp"

#include <cmath>

#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/keys.hpp"
#include "core/config/text.hpp"

namespace sluice {
void EarlyStoppingOptions::describe(Keys& keys) {
  keys.optional("metric", metric, "the column of metrics.csv that decides which checkpoint is best and when to stop");
  keys.choice("goal", goal, {{"auto", Goal::kAuto}, {"max", Goal::kMax}, {"min", Goal::kMin}},
              "whether the metric should rise or fall; auto: fall if its name ends in loss or error");
  keys.optional("patience", patience, at_least(0.0),
                "epochs without improvement after which training stops, also parts of one; 0: never");
  keys.optional(
      "min_delta", min_delta, at_least(0.0),
      "what an improvement must exceed to count for the patience; accuracies are shares from 0 to 1: 0.001 is 0.1 %");
  keys.role(KeyRole::kContinues, {"metric", "goal"}, "the best epoch is chosen anew");
  keys.role(KeyRole::kContinues, {"patience", "min_delta"}, "the run may end elsewhere");
}

EarlyStopping::EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {
  using Goal = EarlyStoppingOptions::Goal;
  const bool falls = ends_with(options.metric, "loss") || ends_with(options.metric, "error");
  minimise_ = options.goal == Goal::kMin || (options.goal == Goal::kAuto && falls);
}

bool EarlyStopping::better(double value, const std::optional<double>& than, double margin) const {
  if (std::isnan(value)) return false;
  if (!than) return true;
  return minimise_ ? value < *than - margin : value > *than + margin;
}

bool EarlyStopping::observe(double epoch, double value) {
  state_.last_epoch = epoch;
  if (better(value, state_.reference, options_.min_delta)) {
    state_.reference = value;
    state_.reference_epoch = epoch;
  }
  return offer(epoch, value);
}

bool EarlyStopping::offer(double epoch, double value) {
  if (!better(value, state_.best, 0)) return false;
  state_.best = value;
  state_.best_epoch = epoch;
  return true;
}

void EarlyStopping::forget_best() {
  state_.best.reset();
  state_.best_epoch = 0;
}

void EarlyStopping::restart(double epoch) {
  state_ = {};
  state_.reference_epoch = state_.last_epoch = epoch;
}

std::optional<std::string> EarlyStopping::reason_to_stop() const {
  constexpr double kDigits = 1e6;  // of places within epochs
  const double waited = std::round(kDigits * (state_.last_epoch - state_.reference_epoch)) / kDigits;
  if (options_.patience == 0 || waited + 1 / kDigits < options_.patience) return std::nullopt;
  const std::string epochs = concat(" for ", epochs_text(waited), waited == 1 ? " epoch" : " epochs");
  if (!state_.reference) return concat(options_.metric, " has had no value", epochs);
  return concat(options_.metric, " has not improved on ", metric_text(options_.metric, *state_.reference), " (epoch ",
                epochs_text(state_.reference_epoch), ")", margin_text(), epochs);
}

std::optional<std::string> EarlyStopping::rule() const {
  if (options_.patience == 0) return std::nullopt;
  return concat("stops when ", options_.metric, " has not improved", margin_text(), " for ", options_.patience,
                options_.patience == 1 ? " epoch" : " epochs");
}

std::string EarlyStopping::margin_text() const {
  return options_.min_delta > 0 ? " by more than " + sluice::margin_text(options_.metric, options_.min_delta) : "";
}

std::string epochs_text(double epochs) {
  return epochs == std::floor(epochs) ? concat(static_cast<std::int64_t>(epochs)) : fixed(epochs, 3);
}

}  // namespace sluice
