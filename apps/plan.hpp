// What the densities of gates do to the plan of a network.
#pragma once

#include <vector>

#include "core/train/benchmark.hpp"

namespace sluice {

/// Measures the densities of the layers in `plan`, and at which ones they are slower than their dense twins, on the
/// images of the benchmark.
void sweep_plan(Experiment& experiment, const BenchmarkImages& images, std::vector<PlanRow>& plan);

}  // namespace sluice
