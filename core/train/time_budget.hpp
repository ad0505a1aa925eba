// The time a run may take (`train.max_time`): parsing, and whether what comes next still fits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sluice {

class Keys;

/// Seconds in "HH:MM:SS", "MM:SS", Slurm's "D-HH", "D-HH:MM" and "D-HH:MM:SS", plain seconds ("5400", "0.5"), or
/// numbers with units ("90m", "2h", "1h30m", "1d 12h"; d, h, m, s from large to small). Nothing for anything else, for
/// zero and for negative times.
std::optional<double> parse_duration(const std::string& text);

/// "1:02:03" or "2:03"; days as "1-02:03:04". Rounded to whole seconds.
std::string format_duration(double seconds);

/// Reads a duration key; empty means no limit and gives 0. `seconds` is set to 0 where the value is wrong.
void duration_key(Keys& keys, const char* name, std::string& text, double& seconds, const char* doc);

/// Decides from measured times whether the next step or evaluation, and the checkpoint after it, still fit.
class TimeBudget {
 public:
  /// Seconds on a clock that only moves forward.
  using Clock = std::function<double()>;

  /// `max_seconds` = 0: no limit. The time counts from `start` on the clock (by default: now).
  explicit TimeBudget(double max_seconds, Clock clock = steady_seconds, std::optional<double> start = {});

  void record_step(double seconds);
  void record_evaluation(double seconds);
  void record_checkpoint(double seconds);

  bool limited() const { return max_seconds_ > 0; }
  double elapsed() const { return clock_() - start_; }
  double remaining() const { return max_seconds_ - elapsed(); }

  /// Whether one more step and the checkpoint after it fit.
  bool step_fits() const;
  /// Whether an evaluation of `batches` batches and a checkpoint fit. An evaluation that was never measured is taken to
  /// need as long as training steps on as many batches, which is an upper bound.
  bool evaluation_fits(std::int64_t batches) const;
  /// Why training stopped: "what comes next does not fit into the time budget of 2:00:00 (1:59:41 elapsed)".
  std::string reason() const;

  /// Seconds of std::chrono::steady_clock.
  static double steady_seconds();

 private:
  bool fits(double seconds) const;

  double max_seconds_;
  Clock clock_;
  double start_;
  double step_s_ = 0, evaluation_s_ = 0, checkpoint_s_ = 0;
};

}  // namespace sluice
