#include "apps/time_in_turn.hpp"

#include <algorithm>
#include <memory>

#include "apps/images.hpp"
#include "core/base/median.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

constexpr int kTimingRounds = 7, kLeastRounds = 9, kMostRounds = 99;
constexpr double kSeconds = 2;  // of timing for each network

/// A network as sluice-deploy would run it: every layer by its fastest kernel on these images.
class Deployed {
 public:
  explicit Deployed(OpenNetwork& opened)
      : images_(read_images(opened.experiment(), opened.images)),
        batch_(opened.experiment().eval.batch),
        forwards_(forwards_for(images_, batch_)),
        executor_(opened.network(), opened.experiment().executor_options(Mode::kInference, batch_)) {
    executor_.refresh();
    const std::vector<KernelChoice> kernels = opened.trained->network.kernels();
    if (kernels.empty())
      choose_fastest(executor_, kTimingRounds, forwards_, [this] { run_images(executor_, images_, forwards_); });
    else
      choose_kernels(executor_, kernels);
  }

  std::int64_t batch() const { return batch_; }
  double seconds() const { return seconds_; }
  void step() {
    const double begin = TimeBudget::steady_seconds();
    run_images(executor_, images_, forwards_);
    const double took = TimeBudget::steady_seconds() - begin;
    seconds_ += took;
    times_.push_back(1e3 * took / forwards_);
  }
  /// For a batch.
  double median_ms() const { return median(times_); }

 private:
  BenchmarkImages images_;
  std::int64_t batch_;
  int forwards_;
  Executor executor_;
  double seconds_ = 0;
  std::vector<double> times_;
};

}  // namespace

std::vector<NetworkTime> time_in_turn(const std::vector<OpenNetwork*>& networks) {
  std::vector<std::unique_ptr<Deployed>> deployed;
  for (OpenNetwork* network : networks) deployed.push_back(std::make_unique<Deployed>(*network));
  const auto enough = [](const auto& each) { return each->seconds() >= kSeconds; };
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && std::all_of(deployed.begin(), deployed.end(), enough)) break;
    for (const auto& each : deployed) each->step();
  }
  std::vector<NetworkTime> times;
  for (const auto& each : deployed) times.push_back({each->median_ms(), each->batch()});
  return times;
}

}  // namespace sluice
