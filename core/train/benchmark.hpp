// How fast a network trains and infers on this machine, by layer and as a whole.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/train/experiment.hpp"

namespace sluice {

struct BenchmarkOptions {
  std::int64_t steps = 10;  ///< timed steps; medians are reported
  std::int64_t warmup = 3;  ///< steps before them
  bool training = true;
  bool inference = true;
};

/// One of training and inference.
struct PhaseResult {
  std::int64_t batch = 0;
  double median_ms = 0, fastest_ms = 0, slowest_ms = 0;
  double images_per_second = 0;  ///< at the median
  double gflops = 0;             ///< 2 x dense multiply-adds (training: three times those of inference) per second, 1e9
  std::int64_t activation_bytes = 0, kept_bytes = 0;
  std::vector<OperationInfo> operations;  ///< times are means over a few more steps
};

struct BenchmarkResult {
  PhaseResult training, inference;
  double peak_gflops = 0;              ///< of a large matrix product by oneDNN in the same precision, measured beside
  std::int64_t peak_memory_bytes = 0;  ///< largest resident size of the process
};

/// Runs on random images and labels. A training step is everything but the data: weights into kernel layouts, forward,
/// backward, update.
BenchmarkResult run_benchmark(Experiment& experiment, const BenchmarkOptions& options);

void print_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result);
/// train_images_per_second, infer_images_per_second, train_ms, infer_ms, ..., train_layers and infer_layers [{name,
/// type, kernel, fused, forward_ms, backward_ms, refresh_ms}].
void print_json_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result);

}  // namespace sluice
