#include "apps/time_in_turn.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "apps/images.hpp"
#include "core/base/error.hpp"
#include "core/base/median.hpp"
#include "core/graph/timing_runs.hpp"
#include "core/train/progress.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

constexpr int kTimingRounds = 7, kLeastRounds = 9, kMostRounds = 99;
constexpr double kSeconds = 2;  // of timing for each network

/// A network as sluice-deploy would run it: every layer by its fastest kernel on these images.
class Deployed {
 public:
  /// `label`: of the progress of timing its kernels.
  Deployed(OpenNetwork& opened, const std::string& label, Progress& progress)
      : images_(read_images(opened.experiment(), opened.images)),
        batch_(images_.batch(opened.experiment().eval.batch)),
        forwards_(forwards_for(images_, batch_)),
        executor_(opened.network(), opened.experiment().executor_options(Mode::kInference, batch_)) {
    executor_.refresh();
    const std::vector<KernelChoice> kernels = opened.trained->network.kernels();
    if (!kernels.empty()) {
      choose_kernels(executor_, kernels);
      return;
    }
    progress.begin(label, runs_to_choose(executor_, kTimingRounds) * forwards_ * batch_);
    choose_fastest(executor_, kTimingRounds, forwards_, [&] { run_images(executor_, images_, forwards_, &progress); });
    progress.end();
  }

  NetworkRun run() {
    return {[this] { run_images(executor_, images_, forwards_); }, forwards_, batch_};
  }

 private:
  BenchmarkImages images_;
  std::int64_t batch_;
  int forwards_;
  Executor executor_;
};

/// Of one round.
std::int64_t images_of(const NetworkRun& run) {
  return run.forwards * run.batch;
}

/// Seconds of each round.
struct Timed {
  std::vector<double> rounds;
  double seconds = 0;
};

/// So many more as the slowest to fill its seconds needs, by its first round.
double rounds_left(const std::vector<Timed>& first) {
  double rounds = kLeastRounds;
  for (const Timed& each : first) rounds = std::max(rounds, kSeconds / each.seconds);
  return std::min<double>(rounds, kMostRounds) - 1;
}

}  // namespace

std::vector<NetworkTime> time_in_turn(const std::vector<NetworkRun>& runs, Progress* progress) {
  std::vector<Timed> timed(runs.size());
  const std::int64_t images =
      std::accumulate(runs.begin(), runs.end(), std::int64_t{0},
                      [](std::int64_t sum, const NetworkRun& run) { return sum + images_of(run); });
  const auto enough = [](const Timed& each) { return each.seconds >= kSeconds; };
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && std::all_of(timed.begin(), timed.end(), enough)) break;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const double begin = TimeBudget::steady_seconds();
      runs[i].run();
      timed[i].rounds.push_back(TimeBudget::steady_seconds() - begin);
      timed[i].seconds += timed[i].rounds.back();
      if (progress != nullptr && round > 0) progress->pass(images_of(runs[i]));
    }
    if (progress != nullptr && round == 0)
      progress->begin("timing networks", static_cast<std::int64_t>(rounds_left(timed) * static_cast<double>(images)));
  }
  if (progress != nullptr) progress->end();
  std::vector<NetworkTime> times;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::vector<double>& rounds = timed[i].rounds;
    times.push_back({1e3 * median(rounds) / runs[i].forwards, runs[i].batch, quartile_spread(rounds)});
  }
  return times;
}

std::vector<NetworkTime> time_in_turn(const std::vector<OpenNetwork*>& networks, Progress& progress) {
  std::vector<std::unique_ptr<Deployed>> deployed;
  std::vector<NetworkRun> runs;
  for (OpenNetwork* network : networks) {
    const std::string label = concat("timing kernels, ", deployed.size() + 1, " of ", networks.size());
    deployed.push_back(std::make_unique<Deployed>(*network, label, progress));
    runs.push_back(deployed.back()->run());
  }
  return time_in_turn(runs, &progress);
}

}  // namespace sluice
