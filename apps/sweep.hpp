// What the densities of gates do to the speed of a network's layers.
#pragma once

#include <vector>

#include "core/train/benchmark.hpp"

namespace sluice {

/// Measures the densities of the layers in `rows`, and at which ones they are slower than their dense twins, on the
/// images of the benchmark.
void sweep_kernels(Experiment& experiment, const BenchmarkImages& images, std::vector<KernelRow>& rows,
                   Progress& progress);

}  // namespace sluice
