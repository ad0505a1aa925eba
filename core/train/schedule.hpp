// Learning-rate schedules: warm-up, then a shape over the rest of the run. Keys are in epochs, evaluation is per step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

class Config;
class Keys;

/// Keys of `[schedule]`.
struct ScheduleOptions {
  enum class Type { kConstant, kStep, kMultistep, kPolynomial, kCosine, kOneCycle };
  Type type = Type::kConstant;
  double warmup_epochs = 0;
  double warmup_start = 0.1;       ///< factor on the first step
  double step_epochs = 30;         ///< step: one drop every so many epochs
  std::vector<double> milestones;  ///< multistep: epochs of the drops
  double gamma = 0.1;              ///< step, multistep: factor of a drop
  double min_lr = 0;               ///< polynomial, cosine: where they end
  double power = 1;                ///< polynomial
  double pct_start = 0.3;          ///< one_cycle: share of the rise
  double div = 25;                 ///< one_cycle: starts at lr / div
  double final_div = 1e4;          ///< one_cycle: ends at lr / div / final_div

  void describe(Keys& keys);
  /// What can only be judged with the rest of the configuration: errors for a warm-up as long as the run and for min_lr
  /// above `base_lr`; warnings for milestones and steps that never come. Goes to the configuration's diagnostics.
  void check(Config& config, double base_lr, std::int64_t epochs) const;
  /// The rates of an epoch depend on how many the run has.
  bool follows_epochs() const;
};

/// The learning rate of each step. With s = step / steps_per_epoch epochs done, E = epochs, W = warmup_epochs (rounded
/// to whole steps), and t = (s - W) / (E - W) clamped to [0, 1]:
///   warm-up (s < W): shape(max(s, W)) * (warmup_start + (1 - warmup_start) * s / W)   (torch LinearLR)
///   constant         lr
///   step             lr * gamma^floor(s / step_epochs)         (epochs count from the start of the run)
///   multistep        lr * gamma^(milestones at or before s)    (likewise)
///   polynomial       min_lr + (lr - min_lr) * (1 - t)^power
///   cosine           min_lr + (lr - min_lr) * (1 + cos(pi * t)) / 2
///   one_cycle        cosine from lr / div up to lr at pct_start, then down to lr / div / final_div at the last step
///   (torch
///                    OneCycleLR with its defaults, over the steps after the warm-up; the momentum is left alone)
/// All are continuous at the end of the warm-up. Steps beyond the run keep the last value.
class Schedule {
 public:
  Schedule(const ScheduleOptions& options, double base_lr, std::int64_t steps_per_epoch, std::int64_t epochs);

  /// Learning rate of the step with this number, counted from 0.
  double lr(std::int64_t step) const { return lr_at(static_cast<double>(step)); }
  /// The same of a step that begins after so many epochs, (epochs + share of the next one) * steps_per_epoch: no whole
  /// number where a run was continued with another batch inside an epoch.
  double lr_at(double step) const;
  std::int64_t total_steps() const { return total_steps_; }
  std::int64_t warmup_steps() const { return warmup_steps_; }

 private:
  double shape(double step) const;
  double one_cycle(double position, double steps) const;

  ScheduleOptions options_;
  double base_lr_;
  std::int64_t steps_per_epoch_, total_steps_, warmup_steps_;
  std::vector<std::int64_t> drops_;  ///< milestones in steps
};

}  // namespace sluice
