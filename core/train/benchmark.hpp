// How fast a network trains and infers on this machine, by layer and as a whole.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/kernel_choice.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

class Progress;

/// Images to compute on, normalised N x H x W x C floats, with their classes; steps take them in turn.
struct BenchmarkImages {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  /// Images of a batch that is to have `wanted`: of a small set there are fewer.
  std::int64_t batch(std::int64_t wanted) const { return std::min(wanted, count()); }
};
/// Normal noise and uniform classes.
BenchmarkImages random_images(const Network& network, std::int64_t count);

/// Measures what unmeasured_layers are in want of, as training would, on whole batches of these images; nothing else of
/// the network changes.
void measure_layers(Network& network, ExecutorOptions options, const BenchmarkImages& data);

/// Measured over whole batches of these images. Throws Error(kCheckpoint) where a source is not finite.
Calibration calibrate(Network& network, ExecutorOptions options, const BenchmarkImages& data);
/// How many batches of these images one round of timing takes: all, up to a bound.
int forwards_for(const BenchmarkImages& data, std::int64_t batch);
/// That many forwards, one batch of the images after the other; `progress` shows them.
void run_images(Executor& executor, const BenchmarkImages& data, int forwards, Progress* progress = nullptr);

struct BenchmarkOptions {
  std::int64_t steps = 10;  ///< timed steps; medians are reported
  std::int64_t warmup = 3;  ///< steps before them
  bool training = true;
  bool inference = true;
  bool compare = true;     ///< inference: time the network's dense twin beside it, where it has one
  BenchmarkImages images;  ///< that inference sees, eval.batch at a time or, of fewer, all
  /// Inference: what a deployed file says; layers that are not in it run what is fastest here.
  std::vector<KernelChoice> kernels;
  /// Inference as a program runs it that does nothing else: layers make the given kernels alone, and the network's
  /// parameters go back to the system (Executor::refresh_and_give_back).
  bool alone = false;
  Progress* progress = nullptr;  ///< shows how far each part of the measurements is
};

/// One of training and inference.
struct PhaseResult {
  std::int64_t batch = 0, slice = 0;  ///< slice: images that run at a time
  double median_ms = 0, fastest_ms = 0, slowest_ms = 0;
  double spread = 0;             ///< quartile_spread over the steps
  double images_per_second = 0;  ///< at the median
  double gflops = 0;             ///< 2 x dense multiply-adds (training: three times those of inference) per second, 1e9
  std::int64_t activation_bytes = 0, kept_bytes = 0;
  std::vector<OperationInfo> operations;  ///< times are means over a few more steps

  /// Winograd's algorithm or layers that skip leave out a part of the dense multiply-adds: `gflops` may pass the
  /// machine's peak.
  bool saves_work() const;
};

/// A network that was timed in turn with the one in question.
struct BenchmarkTwin {
  std::string name;  ///< "dense", "dense_direct" (without Winograd's algorithm)
  PhaseResult phase;
};

/// What a layer can run and what it costs.
struct KernelRow {
  TimedKernel kernel;
  std::optional<OperationTime> dense = {}, dense_direct = {};  ///< of the same layer in the twins, where it is timed
  // Where the caller has measured them:
  std::optional<double> density =
      {};  ///< share of the outputs that it computed in full, on the images of the benchmark
  std::optional<double> break_even = {}, break_even_direct = {};  ///< density from which on it is slower than the twins
  bool swept = false;                                             ///< then no value above means: at no density

  double ms() const { return kernel.ms[static_cast<std::size_t>(kernel.chosen)]; }
};

struct BenchmarkResult {
  PhaseResult training, inference;
  std::string split;                   ///< that inference saw images of; empty: random ones
  std::int64_t images = 0;             ///< how many
  std::vector<BenchmarkTwin> twins;    ///< of inference
  std::vector<KernelRow> kernels;      ///< of inference, for every layer that can run in several ways
  double peak_gflops = 0;              ///< best rate of large matrix products by oneDNN in the same precision, measured
                                       ///< beside, and of phases that do all of their work
  std::int64_t peak_memory_bytes = 0;  ///< largest resident size of the process, without the twins
};

/// Where layers can run in several ways and no choice says how, the fastest ones on these images are chosen first. A
/// training step is everything but the data: weights into kernel layouts, forward, backward, update.
BenchmarkResult run_benchmark(Experiment& experiment, const BenchmarkOptions& options);

/// "50 GFLOP/s = 50 % of the measured peak of 100": a share of the peak only where it can be one.
std::string rate_text(const PhaseResult& phase, double peak);
/// Below the figures, whether times vary much. `width`: of the lines (Table::print).
void print_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result,
                     std::optional<int> width);
/// A row for each layer: the way that runs, and the milliseconds of all; below, whether times vary much. `batch`: what
/// they are of, "16 test images". `width`: of the lines (Table::print).
void print_plan(std::ostream& out, const std::vector<TimedKernel>& kernels, const std::string& batch,
                std::optional<int> width);
/// The same beside the layer's dense twins.
void print_kernels(std::ostream& out, const std::vector<KernelRow>& rows, std::optional<int> width);
/// What to say where times vary by more than a fifth between repetitions; empty where none does. `things`: what was
/// timed, "layers"; `spreads`: of each, by its name (quartile_spread).
std::string unquiet_text(const std::string& things, const std::vector<std::pair<std::string, double>>& spreads);
/// train_images_per_second, infer_images_per_second, train_ms, infer_ms, train_spread, train_gflops,
/// train_dense_equivalent (PhaseResult::saves_work), ..., train_layers and infer_layers [{name,
/// type, kernel, fused, forward_ms, backward_ms, refresh_ms}]; of a dense twin infer_dense_ms, infer_dense_direct_ms
/// and so on, and speedup_over_dense, speedup_over_dense_direct.
void print_json_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result);

}  // namespace sluice
