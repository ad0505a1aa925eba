#include "core/train/benchmark.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/base/error.hpp"
#include "core/base/median.hpp"
#include "core/base/random.hpp"
#include "core/graph/dense_twin.hpp"
#include "core/graph/timing_runs.hpp"
#include "core/model/trained_network.hpp"
#include "core/train/peak_rate.hpp"
#include "core/train/progress.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kProfiledSteps = 5;
constexpr int kTimingRounds = 7;

using Step = std::function<void()>;

/// A part of the measurements, while it lives.
class Phase {
 public:
  Phase(Progress* progress, const std::string& label, std::int64_t images) : progress_(progress) {
    if (progress_ != nullptr) progress_->begin(label, images);
  }
  ~Phase() {
    if (progress_ != nullptr) progress_->end();
  }
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;

 private:
  Progress* progress_;
};

/// Times of each step, of a batch, sorted. The steps take turns, so that a drift of the processor's clock meets all
/// alike.
std::vector<std::vector<double>> time_in_turn(const BenchmarkOptions& options, const std::string& label,
                                              std::int64_t batch, const std::vector<Step>& steps) {
  std::vector<std::vector<double>> times(steps.size());
  const std::int64_t rounds = options.warmup + options.steps;
  const Phase phase(options.progress, label, rounds * static_cast<std::int64_t>(steps.size()) * batch);
  for (std::int64_t i = -options.warmup; i < options.steps; ++i) {
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const double start = TimeBudget::steady_seconds();
      steps[k]();
      if (i >= 0) times[k].push_back((TimeBudget::steady_seconds() - start) * 1e3);
      if (options.progress != nullptr) options.progress->pass(batch);
    }
  }
  for (std::vector<double>& of_step : times) std::sort(of_step.begin(), of_step.end());
  return times;
}

PhaseResult summarise(Executor& executor, double flops, const std::vector<double>& times, const Step& step) {
  PhaseResult result;
  result.batch = executor.options().batch;
  result.slice = executor.slice();
  result.median_ms = median(times);
  result.fastest_ms = times.front();
  result.slowest_ms = times.back();
  result.spread = quartile_spread(times);
  result.images_per_second = static_cast<double>(result.batch) / result.median_ms * 1e3;
  result.gflops = flops / result.median_ms / 1e6;
  result.activation_bytes = executor.activation_bytes();
  result.kept_bytes = executor.kept_bytes();
  executor.set_profiling(true);
  for (std::int64_t i = 0; i < kProfiledSteps; ++i) step();
  result.operations = executor.operations();
  executor.set_profiling(false);
  for (OperationInfo& operation : result.operations) {
    operation.refresh_ms /= kProfiledSteps;
    operation.forward_ms /= kProfiledSteps;
    operation.backward_ms /= kProfiledSteps;
  }
  return result;
}

PhaseResult measure_training(Experiment& experiment, const BenchmarkOptions& options) {
  Network& network = experiment.network();
  const std::int64_t batch = experiment.train.part_batch();
  Executor executor(network, experiment.executor_options(Mode::kTraining, batch));
  Optimizer optimizer(experiment.optimizer, parameter_ranges(network), network.parameter_count());
  const BenchmarkImages data = random_images(network, batch);
  std::uint64_t number = 0;
  const Step step = [&] {
    executor.lend_batch(data.images.data(), data.labels.data());
    executor.refresh();
    executor.forward(number++);
    executor.backward();
    optimizer.step(network.parameter_data(), executor.gradients(), 0.0, optimizer.gradient_norm(executor.gradients()));
  };
  const double flops = 6.0 * static_cast<double>(network.macs() * batch);
  return summarise(executor, flops, time_in_turn(options, "timing training", batch, {step})[0], step);
}

/// One of the networks whose inference is timed.
class Contender {
 public:
  /// `alone`: as BenchmarkOptions has it.
  Contender(Network& network, const ExecutorOptions& options, const BenchmarkImages& data, bool alone = false)
      : network_(network), executor_(network, options), data_(data) {
    if (alone)
      executor_.refresh_and_give_back();
    else
      executor_.refresh();
  }

  Executor& executor() { return executor_; }
  double flops() const { return 2.0 * static_cast<double>(network_.macs() * executor_.options().batch); }

  void step() {
    const std::int64_t batch = executor_.options().batch, image = network_.input_shape(1).count();
    if (first_ + batch > data_.count()) first_ = 0;
    executor_.lend_batch(data_.images.data() + first_ * image, data_.labels.data() + first_);
    executor_.forward();
    first_ += batch;
  }

 private:
  Network& network_;
  Executor executor_;
  const BenchmarkImages& data_;
  std::int64_t first_ = 0;
};

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

/// Of every layer that runs by itself, by name.
std::map<std::string, OperationTime> layer_times(Executor& executor, const BenchmarkOptions& options) {
  const std::int64_t batch = executor.options().batch;
  const int forwards = forwards_for(options.images, batch);
  const Phase phase(options.progress, "timing layers", runs_to_time(kTimingRounds) * forwards * batch);
  const std::vector<OperationTime> times = time_operations(
      executor, kTimingRounds, forwards, [&] { run_images(executor, options.images, forwards, options.progress); });
  std::map<std::string, OperationTime> by_name;
  const std::vector<OperationInfo> operations = executor.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) by_name[operations[i].name] = times[i];
  return by_name;
}

std::optional<OperationTime> of_layer(const std::map<std::string, OperationTime>& times, const std::string& layer) {
  const auto found = times.find(layer);
  return found == times.end() ? std::nullopt : std::optional<OperationTime>(found->second);
}

std::vector<TimedKernel> choose_fastest(Executor& executor, const BenchmarkOptions& options) {
  const std::int64_t batch = executor.options().batch;
  const int forwards = forwards_for(options.images, batch);
  const Phase phase(options.progress, "timing kernels", runs_to_choose(executor, kTimingRounds) * forwards * batch);
  return choose_fastest(executor, kTimingRounds, forwards,
                        [&] { run_images(executor, options.images, forwards, options.progress); });
}

/// Times what every layer can run; then the given choices stand, and elsewhere the fastest.
std::vector<KernelRow> kernel_rows(Executor& executor, const BenchmarkOptions& options) {
  std::vector<KernelRow> rows;
  for (TimedKernel& kernel : choose_fastest(executor, options)) rows.push_back({std::move(kernel)});
  choose_kernels(executor, options.kernels);
  for (const auto& [layer, name] : chosen_kernels(executor)) {
    for (KernelRow& row : rows) {
      const std::vector<std::string>& names = row.kernel.alternatives;
      if (row.kernel.layer == layer)
        row.kernel.chosen = static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
    }
  }
  return rows;
}

/// Times the network in turn with its dense twin, where it has one.
void measure_inference(Experiment& experiment, const BenchmarkOptions& options, BenchmarkResult& result) {
  const BenchmarkImages& data = options.images;
  const std::int64_t batch = data.batch(experiment.eval.batch);
  ExecutorOptions executor = experiment.executor_options(Mode::kInference, batch);
  if (executor.int8 && experiment.network().calibration().empty())
    experiment.network().set_calibration(calibrate(experiment.network(), executor, data));
  std::vector<std::unique_ptr<Contender>> contenders;
  ExecutorOptions own = executor;
  if (options.alone) own.kernels = {options.kernels.begin(), options.kernels.end()};
  contenders.push_back(std::make_unique<Contender>(experiment.network(), own, data, options.alone));
  result.kernels = kernel_rows(contenders[0]->executor(), options);
  result.peak_memory_bytes = peak_memory();
  const Registry& registry = experiment.network().registry();
  std::unique_ptr<Network> twin;
  if (options.compare && has_dense_twin(experiment.config, registry)) {
    Config config = dense_twin(experiment.config, registry);
    twin = std::make_unique<Network>(config, registry);
    twin->initialise(static_cast<std::uint64_t>(experiment.run.seed));
    if (executor.int8) twin->set_calibration(calibrate(*twin, executor, data));
    contenders.push_back(std::make_unique<Contender>(*twin, executor, data));
    executor.winograd = false;
    contenders.push_back(std::make_unique<Contender>(*twin, executor, data));
  }
  // A twin in int8 takes the fastest of its ways as well.
  for (std::size_t i = 1; executor.int8 && i < contenders.size(); ++i)
    choose_fastest(contenders[i]->executor(), options);
  std::vector<Step> steps;
  for (const auto& contender : contenders) steps.emplace_back([&c = *contender] { c.step(); });
  const auto times = time_in_turn(options, "timing inference", batch, steps);
  const auto phase = [&](std::size_t i) {
    return summarise(contenders[i]->executor(), contenders[i]->flops(), times[i], steps[i]);
  };
  result.inference = phase(0);
  result.images = data.count();
  if (!twin) return;
  result.twins = {{"dense", phase(1)}, {"dense_direct", phase(2)}};
  const auto dense = layer_times(contenders[1]->executor(), options);
  const auto direct = layer_times(contenders[2]->executor(), options);
  for (KernelRow& row : result.kernels) {
    row.dense = of_layer(dense, row.kernel.layer);
    row.dense_direct = of_layer(direct, row.kernel.layer);
  }
}

/// A neighbour may have been busy at one of the measurements, and a phase that does all of its work cannot be faster
/// than the machine: the best of all is the peak.
void raise_peak(Precision precision, const PhaseResult& phase, double& peak) {
  peak = std::max(peak, measure_peak_gflops(precision));
  if (phase.batch == 0 || phase.saves_work()) return;
  peak = std::max(peak, phase.gflops * phase.median_ms / phase.fastest_ms);
}

}  // namespace

bool PhaseResult::saves_work() const {
  return std::any_of(operations.begin(), operations.end(), [](const OperationInfo& operation) {
    return !operation.alternatives.empty() || operation.kernel.find("wino") != std::string::npos;
  });
}

Calibration calibrate(Network& network, ExecutorOptions options, const BenchmarkImages& data) {
  options.int8 = false;
  Executor executor(network, options);
  executor.refresh();
  const std::int64_t image = network.input_shape(1).count();
  Calibration calibration;
  for (std::int64_t first = 0; first + options.batch <= data.count(); first += options.batch) {
    executor.lend_batch(data.images.data() + first * image, nullptr);
    for (const auto& [layer, largest] : executor.largest_sources()) {
      if (!std::isfinite(largest)) {
        throw Error(ExitCode::kCheckpoint, concat("layer '", layer,
                                                  "': what goes in is not finite on these images; "
                                                  "train the network without overflow, then deploy it"));
      }
      double& range = calibration.ranges[layer];
      range = std::max(range, largest);
    }
  }
  return calibration;
}

void measure_layers(Network& network, ExecutorOptions options, const BenchmarkImages& data) {
  const std::vector<std::string> layers = unmeasured_layers(network);
  if (layers.empty()) return;
  options.int8 = false;
  options.mode = Mode::kTraining;
  const std::vector<float> before(network.buffer_data(), network.buffer_data() + network.buffer_count());
  Executor executor(network, options);
  executor.refresh();
  const std::int64_t image = network.input_shape(1).count();
  for (std::int64_t first = 0; first + options.batch <= data.count(); first += options.batch) {
    executor.lend_batch(data.images.data() + first * image, data.labels.data() + first);
    executor.forward();
  }
  for (const StateBuffer& buffer : network.buffers()) {
    if (buffer.measured && std::find(layers.begin(), layers.end(), buffer.layer) != layers.end()) continue;
    const float* const old = before.data() + buffer.offset;
    std::copy(old, old + buffer.shape.count(), network.buffer_data() + buffer.offset);
  }
}

int forwards_for(const BenchmarkImages& data, std::int64_t batch) {
  return static_cast<int>(std::clamp<std::int64_t>(data.count() / batch, 1, 16));
}

void run_images(Executor& executor, const BenchmarkImages& data, int forwards, Progress* progress) {
  const std::int64_t batch = executor.options().batch,
                     image = static_cast<std::int64_t>(data.images.size()) / data.count();
  for (int i = 0; i < forwards; ++i) {
    executor.lend_batch(data.images.data() + i * batch * image, data.labels.data() + i * batch);
    executor.forward();
    if (progress != nullptr) progress->pass(batch);
  }
}

BenchmarkImages random_images(const Network& network, std::int64_t count) {
  BenchmarkImages data;
  Random random(1, Purpose::kTest);
  data.images.resize(static_cast<std::size_t>(network.input_shape(count).count()));
  for (float& value : data.images) value = static_cast<float>(random.normal());
  const auto classes = static_cast<std::uint64_t>(network.classes());
  for (std::int64_t i = 0; i < count; ++i) data.labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  return data;
}

BenchmarkResult run_benchmark(Experiment& experiment, const BenchmarkOptions& options) {
  BenchmarkResult result;
  if (options.training) result.training = measure_training(experiment, options);
  result.peak_memory_bytes = peak_memory();
  if (options.inference) measure_inference(experiment, options, result);
  // Last: an executor says in plain words what this processor cannot do.
  for (const PhaseResult* phase : {&result.training, &result.inference})
    raise_peak(experiment.run.precision, *phase, result.peak_gflops);
  return result;
}

}  // namespace sluice
