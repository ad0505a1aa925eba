// Watches one metric: which evaluation was the best, and when to stop because it no longer improves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sluice {

class Keys;

/// Keys of `[early_stopping]`. The metric also decides which checkpoint is the best one, with or without patience.
struct EarlyStoppingOptions {
  enum class Goal { kAuto, kMax, kMin };
  std::string metric = "val_accuracy";
  Goal goal = Goal::kAuto;  ///< kAuto: a metric whose name ends in "loss" or "error" goes down, any other up
  double patience = 0;      ///< epochs; 0 = never stop
  double min_delta = 0;     ///< an improvement by less does not reset the patience; in the metric's unit
  void describe(Keys& keys);
};

/// The metric's history as far as decisions need it. Its state (`best`, `best_epoch`, `reference`, `reference_epoch`)
/// is saved in checkpoints.
class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options);

  /// Takes the metric of an evaluation after so many epochs: 2.5 is in the middle of the third. Returns whether it is
  /// the best so far; NaN never is.
  bool observe(double epoch, double value);
  /// The part of `observe` that is about the best, not about the patience.
  bool offer(double epoch, double value);
  /// The best is lost, and is found again among what is offered and observed from now on.
  void forget_best();
  /// As at the beginning of a run that starts after `epoch` epochs: the metric is another one.
  void restart(double epoch);
  /// Why to stop now, or nothing: "val_accuracy has not improved on 91.2 % (epoch 40) by more than 0.1 % for 20
  /// epochs".
  std::optional<std::string> reason_to_stop() const;
  /// When it would stop, in the units of people, or nothing where it never does: "stops when val_accuracy has not
  /// improved by more than 0.1 % for 20 epochs".
  std::optional<std::string> rule() const;

  void set_min_delta(double min_delta) { options_.min_delta = min_delta; }
  const std::string& metric() const { return options_.metric; }

  struct State {
    std::optional<double> best;  ///< absent before the first finite value
    double best_epoch = 0;
    std::optional<double> reference;  ///< the value that counts for the patience: the last one better by min_delta
    double reference_epoch = 0;
    double last_epoch = 0;
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  std::string margin_text() const;
  bool better(double value, const std::optional<double>& than, double margin) const;

  EarlyStoppingOptions options_;
  bool minimise_;
  State state_;
};

/// "3", "2.375": epochs for people.
std::string epochs_text(double epochs);

}  // namespace sluice
