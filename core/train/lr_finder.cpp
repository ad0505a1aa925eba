#include "core/train/lr_finder.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/signals.hpp"
#include "core/config/text.hpp"
#include "core/train/first_weights.hpp"
#include "core/train/progress.hpp"
#include "core/train/training_step.hpp"

namespace sluice {
namespace {

constexpr double kSpan = 0.1;     // of the sweep: what is smoothed over
constexpr double kDiverged = 4;   // times the lowest loss
constexpr double kDecay = 0.9;    // of the mean that tells divergence while the sweep runs
constexpr double kFallen = 0.95;  // of the first loss

std::int64_t half_span(std::int64_t steps) {
  return std::max<std::int64_t>(1, std::llround(kSpan / 2 * static_cast<double>(steps)));
}

/// A mean of what was seen so far, in which newer losses count more.
class RunningLoss {
 public:
  /// Whether the mean is far above its lowest value.
  bool rises(double loss) {
    sum_ = kDecay * sum_ + (1 - kDecay) * loss;
    weight_ = kDecay * weight_ + (1 - kDecay);
    const double mean = sum_ / weight_;
    lowest_ = lowest_ ? std::min(*lowest_, mean) : mean;
    return mean > kDiverged * *lowest_;
  }

 private:
  double sum_ = 0, weight_ = 0;
  std::optional<double> lowest_;
};

/// The mean loss of a batch before the step that it makes; nothing where training diverges.
std::optional<double> loss_of_step(TrainingStep& step, const Batch& batch, double rate, TrainingPosition& position) {
  position.loss_sum = 0;
  position.images = 0;
  try {
    step.run(batch, rate, position);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kDiverged) throw;
    return std::nullopt;
  }
  return position.loss_sum / static_cast<double>(batch.whole);
}

}  // namespace

LrSweep sweep_learning_rates(Experiment& experiment, Communicator& ranks, Log& log, const LrSweepOptions& options) {
  check_trainable(experiment);
  const TrainingData data = open_training_data(experiment, nullptr, false, [] { throw_if_stopped(); });
  for (const std::string& warning : data.warnings) log.warning(warning);
  Network& network = experiment.network();
  network.initialise(static_cast<std::uint64_t>(experiment.run.seed));
  const bool measures = take_first_weights(experiment, network, data, log);
  TrainingStep step(experiment, data, ranks, log);
  step.executor().refresh();
  Pipeline pipeline(*data.sets.train, training_batches(experiment, data.normalization, ranks));
  pipeline.start(0);
  if (measures) {
    if (const Batch* const batch = pipeline.next()) step.measure(*batch);
    pipeline.start(0);
  }

  KeptRoom room;
  Progress progress(log, experiment.log, room);
  progress.begin("learning rates", options.steps * experiment.train.batch);
  TrainingPosition position(network.auxiliary_losses().size());
  RunningLoss running;
  LrSweep sweep;
  for (std::int64_t i = 0; i < options.steps && !sweep.diverged; ++i) {
    const Batch* batch = pipeline.next();
    if (batch == nullptr) {
      pipeline.start(++position.epoch);
      batch = pipeline.next();
    }
    const double share = static_cast<double>(i) / static_cast<double>(options.steps - 1);
    const double rate = options.from * std::pow(options.to / options.from, share);
    const std::optional<double> loss = loss_of_step(step, *batch, rate, position);
    if (loss) {
      sweep.rates.push_back(rate);
      sweep.losses.push_back(*loss);
    }
    sweep.diverged = !loss || running.rises(*loss);
    progress.advance(batch->whole);
    if (loss && progress.due())
      progress.show({{concat("loss ", fixed(*loss, 4)), "", 85}, {concat("lr ", rate), "", 30}});
    if (first_rank(ranks, stop_requested() != 0) >= 0)
      throw CommonError(ExitCode::kStopped, "stopped by a signal; nothing was written");
  }
  progress.end();
  smooth(sweep, options.steps);
  return sweep;
}

void smooth(LrSweep& sweep, std::int64_t steps) {
  const std::int64_t half = half_span(steps), count = static_cast<std::int64_t>(sweep.losses.size());
  sweep.smoothed.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t reach = std::min({half, i, count - 1 - i});  // the same on both sides
    double sum = 0;
    for (std::int64_t k = i - reach; k <= i + reach; ++k) sum += sweep.losses[static_cast<std::size_t>(k)];
    sweep.smoothed.push_back(sum / static_cast<double>(2 * reach + 1));
  }
}

namespace {

/// The standard deviation of the losses of steps by chance, from those of neighbours.
double noise_of(const std::vector<double>& losses, std::int64_t count) {
  double squares = 0;
  for (std::int64_t i = 1; i < count; ++i) {
    const double difference = losses[static_cast<std::size_t>(i)] - losses[static_cast<std::size_t>(i - 1)];
    squares += difference * difference / 2;
  }
  return std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(1, count - 1)));
}

/// Of the line that fits the losses around a step best, but for a factor.
double slope_at(const std::vector<double>& losses, std::int64_t step, std::int64_t half) {
  double slope = 0;
  for (std::int64_t k = -half; k <= half; ++k)
    slope += static_cast<double>(k) * losses[static_cast<std::size_t>(step + k)];
  return slope;
}

}  // namespace

LrSuggestion suggest_learning_rate(const LrSweep& sweep, std::int64_t steps) {
  using Kind = LrSuggestion::Kind;
  constexpr double kChance = 4;  // standard deviations between two means that are not the same
  LrSuggestion suggestion;
  const std::int64_t half = half_span(steps), end = static_cast<std::int64_t>(sweep.losses.size()) - half;
  if (end <= half) return suggestion;
  suggestion.begin = static_cast<std::size_t>(half);
  suggestion.end = static_cast<std::size_t>(end);
  const auto begin = sweep.smoothed.begin() + half, behind = sweep.smoothed.begin() + end;
  const auto lowest = std::min_element(begin, behind);
  const std::int64_t lowest_step = lowest - sweep.smoothed.begin();
  const double span = static_cast<double>(2 * half + 1);
  suggestion.first = *begin;
  suggestion.lowest = static_cast<std::size_t>(lowest_step);
  suggestion.by_chance = kChance * noise_of(sweep.losses, lowest_step + 1) * std::sqrt(2 / span);
  suggestion.rose = sweep.diverged || *std::max_element(lowest, behind) - *lowest > suggestion.by_chance;
  const bool fell = *lowest < kFallen * *begin, by_chance = !(*begin - *lowest > suggestion.by_chance);
  suggestion.kind = !fell ? Kind::kNeverFell : by_chance ? Kind::kByChance : Kind::kFound;
  if (!suggestion.found()) return suggestion;
  std::int64_t steepest = half;
  for (std::int64_t i = half; i <= lowest_step; ++i) {
    if (slope_at(sweep.losses, i, half) < slope_at(sweep.losses, steepest, half)) steepest = i;
  }
  suggestion.steepest = static_cast<std::size_t>(steepest);
  return suggestion;
}

}  // namespace sluice
