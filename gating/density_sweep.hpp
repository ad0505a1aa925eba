// How the time of gated layers depends on how many of their gates are open.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"
#include "core/graph/network.hpp"

namespace sluice {

struct DensityPoint {
  double density = 0;
  double ms = 0;  ///< of the fastest alternative
};

struct DensitySweep {
  std::string layer;
  std::vector<DensityPoint> points;  ///< by density

  /// The density from which on the layer takes longer than `dense_ms`, between points on a line; nothing where it never
  /// does. Of several the one next to `now`, which was measured by itself: it lies above where the layer is not slower
  /// now, else below.
  std::optional<double> break_even(double dense_ms, const DensityPoint& now) const;
};

/// Open gates of all since the executor's statistics were reset, or, of a layer before or behind gates of channels, its
/// products that were open; nothing for other layers.
std::optional<double> gate_density(const Network& network, const Executor& executor, const std::string& layer);

/// Moves all thresholds up and down in steps, so that densities go from nearly 0 to nearly 1, and times every layer
/// that has such a density. `run` calls forward `forwards` times. Thresholds are put back; alternatives are left as
/// they were.
std::vector<DensitySweep> sweep_densities(Network& network, Executor& executor, int forwards,
                                          const std::function<void()>& run);
/// How often it will call `run`.
std::int64_t runs_to_sweep(const Executor& executor);

}  // namespace sluice
