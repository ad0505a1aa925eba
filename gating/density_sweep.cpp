#include "gating/density_sweep.hpp"

#include <algorithm>
#include <array>

#include "core/graph/kernel_plan.hpp"
#include "gating/gate_counts.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

/// In deviations of what gates compare, beginning with the highest.
constexpr std::array<float, 9> kShifts = {3.0F, 2.0F, 1.3F, 0.8F, 0.4F, 0.0F, -0.5F, -1.2F, -3.0F};
constexpr int kRounds = 3;

/// Learned numbers of the thresholds' group, with their values as they were.
class Thresholds {
 public:
  explicit Thresholds(Network& network) : arena_(network.parameter_data()) {
    for (const Parameter& p : network.parameters()) {
      if (p.group != kThreshold) continue;
      for (std::int64_t i = 0; i < p.shape.count(); ++i) places_.push_back(p.offset + i);
    }
    for (std::int64_t place : places_) values_.push_back(arena_[place]);
  }
  ~Thresholds() { shift(0); }
  Thresholds(const Thresholds&) = delete;
  Thresholds& operator=(const Thresholds&) = delete;

  void shift(float by) {
    for (std::size_t i = 0; i < places_.size(); ++i) arena_[places_[i]] = values_[i] + by;
  }

 private:
  float* arena_;
  std::vector<std::int64_t> places_;
  std::vector<float> values_;
};

}  // namespace

std::optional<double> DensitySweep::break_even(double dense_ms) const {
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].ms <= dense_ms) continue;
    if (i == 0) return 0.0;
    const DensityPoint &below = points[i - 1], &above = points[i];
    return below.density + (above.density - below.density) * (dense_ms - below.ms) / (above.ms - below.ms);
  }
  return std::nullopt;
}

std::optional<double> gate_density(const Network& network, const Executor& executor, const std::string& layer) {
  const int node = network.find(layer);
  if (node < 0) return std::nullopt;
  const std::optional<Ratio> gates = open_gates(network.nodes()[static_cast<std::size_t>(node)], executor.counts(node));
  if (!gates || gates->whole == 0) return std::nullopt;
  return gates->value();
}

std::vector<DensitySweep> sweep_densities(Network& network, Executor& executor, int forwards,
                                          const std::function<void()>& run) {
  std::vector<DensitySweep> sweeps;
  const std::vector<KernelChoice> choices = chosen_kernels(executor);
  Thresholds thresholds(network);
  for (float shift : kShifts) {
    thresholds.shift(shift);
    executor.refresh();
    executor.reset_statistics();
    for (const PlannedKernel& kernel : plan_kernels(executor, kRounds, forwards, run)) {
      const std::optional<double> density = gate_density(network, executor, kernel.layer);
      if (!density) continue;
      auto sweep =
          std::find_if(sweeps.begin(), sweeps.end(), [&](const DensitySweep& s) { return s.layer == kernel.layer; });
      if (sweep == sweeps.end()) sweep = sweeps.insert(sweeps.end(), {kernel.layer, {}});
      sweep->points.push_back({*density, kernel.ms[static_cast<std::size_t>(kernel.chosen)]});
    }
  }
  for (DensitySweep& sweep : sweeps) {
    std::stable_sort(sweep.points.begin(), sweep.points.end(),
                     [](const DensityPoint& a, const DensityPoint& b) { return a.density < b.density; });
  }
  thresholds.shift(0);
  executor.refresh();
  choose_kernels(executor, choices);
  return sweeps;
}

}  // namespace sluice
