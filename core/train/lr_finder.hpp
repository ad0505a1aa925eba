// Which learning rate a training may begin with: a sweep over them (Smith 2017, arXiv 1506.01186).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/distributed/communicator.hpp"
#include "core/train/experiment.hpp"
#include "core/train/log.hpp"

namespace sluice {

constexpr std::int64_t kLeastSweep = 20;  // steps

struct LrSweepOptions {
  double from = 1e-6, to = 10;  ///< above 0
  std::int64_t steps = 300;     ///< at least kLeastSweep
};

/// What steps with growing rates lost.
struct LrSweep {
  std::vector<double> rates;
  std::vector<double> losses;    ///< of each step's batch, by the weights before it
  std::vector<double> smoothed;  ///< means over a tenth of the sweep, of which the step is the middle; near the ends
                                 ///< over what there is on both sides, which at the ends is one loss
  bool diverged = false;         ///< it ended early: the loss was four times its lowest, or not finite
};

/// Trains for options.steps with rates that grow by the same factor from step to step, and stops where the loss
/// diverges. The training is that of a new run, with all that belongs to a step (train.init, clipping, weight decay,
/// distillation, mixed images), but for the schedule; nothing is written. Collective. Throws as trainings do; after a
/// stop signal Error(kStopped).
LrSweep sweep_learning_rates(Experiment& experiment, Communicator& ranks, Log& log, const LrSweepOptions& options);

/// Fills in `smoothed`. The span is a tenth of `steps`, on both sides together.
void smooth(LrSweep& sweep, std::int64_t steps);

struct LrSuggestion {
  enum class Kind {
    kFound,
    kTooShort,   ///< the sweep ended before there was a mean over a whole span
    kNeverFell,  ///< no mean is below 95 % of the first
    kByChance    ///< one is, but by no more than chance may have it: four standard deviations of the difference of two
                 ///< means, by the differences of losses that follow each other
  };
  Kind kind = Kind::kTooShort;
  std::size_t begin = 0, end = 0;  ///< the steps whose mean is over a whole span
  std::size_t steepest = 0;  ///< the step where the smoothed loss falls most for a factor of the rate: its rate is a
                             ///< good one to begin with
  std::size_t lowest = 0;    ///< where it is lowest
  double first = 0;          ///< mean loss over the first whole span
  double by_chance = 0;      ///< what means differ by chance
  bool rose = false;         ///< it rises behind its lowest mean, by more than chance, or diverges

  bool found() const { return kind == Kind::kFound; }
};
/// The rate to begin with, or why there is none.
LrSuggestion suggest_learning_rate(const LrSweep& sweep, std::int64_t steps);

}  // namespace sluice
