#include "gating/density_sweep.hpp"

#include <algorithm>
#include <array>

#include "core/graph/group_shift.hpp"
#include "core/graph/kernel_choice.hpp"
#include "core/graph/timing_runs.hpp"
#include "gating/gate_counts.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

/// In deviations of what gates compare, beginning with the highest.
constexpr std::array<float, 9> kShifts = {3.0F, 2.0F, 1.3F, 0.8F, 0.4F, 0.0F, -0.5F, -1.2F, -3.0F};
constexpr int kRounds = 3;

/// Null for a layer whose products nobody closes.
const ChannelProducts* products_of(const Network& network, int node) {
  const std::vector<ChannelProducts>& all = network.channel_products();
  const auto found = std::find_if(all.begin(), all.end(), [&](const ChannelProducts& p) { return p.node == node; });
  return found == all.end() ? nullptr : &*found;
}

bool has_thresholds(const Network& network, int node) {
  if (node < 0) return false;
  const std::vector<int>& params = network.nodes()[static_cast<std::size_t>(node)].params;
  return std::any_of(params.begin(), params.end(),
                     [&](int p) { return network.parameters()[static_cast<std::size_t>(p)].group == kThreshold; });
}

/// Else nothing moves its density.
bool hangs_on_thresholds(const Network& network, const std::string& layer) {
  const int node = network.find(layer);
  const ChannelProducts* const products = products_of(network, node);
  if (products == nullptr) return has_thresholds(network, node);
  return has_thresholds(network, products->closes_inputs) || has_thresholds(network, products->closes_outputs);
}

/// Gates, or products, that were open.
std::optional<Ratio> open_share(const Network& network, int node, const std::int64_t* counts) {
  const ChannelProducts* const products = products_of(network, node);
  if (products != nullptr) return Ratio{counts[products->open], counts[products->total]};
  return open_gates(network.nodes()[static_cast<std::size_t>(node)], counts);
}

}  // namespace

std::optional<double> DensitySweep::break_even(double dense_ms, const DensityPoint& now) const {
  const auto crossing = [&](const DensityPoint& below, const DensityPoint& above) {
    return below.density + (above.density - below.density) * (dense_ms - below.ms) / (above.ms - below.ms);
  };
  DensityPoint last = now;
  if (now.ms <= dense_ms) {
    for (const DensityPoint& point : points) {
      if (point.density <= now.density) continue;
      if (point.ms > dense_ms) return crossing(last, point);
      last = point;
    }
    return std::nullopt;
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (point->density >= now.density) continue;
    if (point->ms <= dense_ms) return crossing(*point, last);
    last = *point;
  }
  return 0.0;
}

std::optional<double> gate_density(const Network& network, const Executor& executor, const std::string& layer) {
  const int node = network.find(layer);
  if (node < 0) return std::nullopt;
  const std::optional<Ratio> open = open_share(network, node, executor.counts(node));
  if (!open || open->whole == 0) return std::nullopt;
  return open->value();
}

std::int64_t runs_to_sweep(const Executor& executor) {
  return static_cast<std::int64_t>(kShifts.size()) * runs_to_choose(executor, kRounds);
}

std::vector<DensitySweep> sweep_densities(Network& network, Executor& executor, int forwards,
                                          const std::function<void()>& run) {
  std::vector<DensitySweep> sweeps;
  const std::vector<KernelChoice> choices = chosen_kernels(executor);
  GroupShift thresholds(network, kThreshold);
  for (float shift : kShifts) {
    thresholds.by(shift);
    executor.refresh();
    executor.reset_statistics();
    for (const TimedKernel& kernel : choose_fastest(executor, kRounds, forwards, run)) {
      const std::optional<double> density = gate_density(network, executor, kernel.layer);
      if (!density || !hangs_on_thresholds(network, kernel.layer)) continue;
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
  thresholds.by(0);
  executor.refresh();
  choose_kernels(executor, choices);
  return sweeps;
}

}  // namespace sluice
