#include "core/train/benchmark.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "core/graph/onednn.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kProfiledSteps = 5;

/// Normal images and uniform labels.
struct RandomBatch {
  RandomBatch(const Network& network, std::int64_t count) {
    Random random(1, Purpose::kTest);
    images.resize(static_cast<std::size_t>(network.input_shape(count).count()));
    for (float& value : images) value = static_cast<float>(random.normal());
    const Shape& answer = network.nodes()[static_cast<std::size_t>(network.output_node())].declared.dst;
    for (std::int64_t i = 0; i < count; ++i) {
      labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(answer.count()))));
    }
  }
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};

std::vector<double> time_ms(std::int64_t warmup, std::int64_t steps, const std::function<void()>& step) {
  for (std::int64_t i = 0; i < warmup; ++i) step();
  std::vector<double> times;
  for (std::int64_t i = 0; i < steps; ++i) {
    const double start = TimeBudget::steady_seconds();
    step();
    times.push_back((TimeBudget::steady_seconds() - start) * 1e3);
  }
  std::sort(times.begin(), times.end());
  return times;
}

PhaseResult measure(Executor& executor, double flops, const BenchmarkOptions& options,
                    const std::function<void()>& step) {
  PhaseResult result;
  const std::vector<double> times = time_ms(options.warmup, options.steps, step);
  result.batch = executor.options().batch;
  result.median_ms = times[times.size() / 2];
  result.fastest_ms = times.front();
  result.slowest_ms = times.back();
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
  Network& network = *experiment.network;
  const std::int64_t batch = experiment.train.batch;
  Executor executor(network, experiment.executor_options(Mode::kTraining, batch));
  Optimizer optimizer(experiment.optimizer, parameter_ranges(network), network.parameter_count());
  const RandomBatch data(network, batch);
  std::uint64_t number = 0;
  const auto step = [&] {
    executor.set_batch(data.images.data(), data.labels.data());
    executor.refresh();
    executor.forward(number++);
    executor.backward();
    optimizer.step(network.parameter_data(), executor.gradients(), 0.0, optimizer.gradient_norm(executor.gradients()));
  };
  return measure(executor, 6.0 * static_cast<double>(network.macs() * batch), options, step);
}

PhaseResult measure_inference(Experiment& experiment, const BenchmarkOptions& options) {
  Network& network = *experiment.network;
  const std::int64_t batch = experiment.eval.batch;
  Executor executor(network, experiment.executor_options(Mode::kInference, batch));
  const RandomBatch data(network, batch);
  executor.refresh();
  const auto step = [&] {
    executor.set_batch(data.images.data(), data.labels.data());
    executor.forward();
  };
  return measure(executor, 2.0 * static_cast<double>(network.macs() * batch), options, step);
}

/// The rate of a matrix product large enough to be limited by arithmetic alone.
double measure_peak_gflops(DataType type) {
  constexpr std::int64_t kSize = 1024;
  const TensorDesc matrix{{kSize, kSize}, type, 0};
  const auto a = dnnl::memory::desc({kSize, kSize}, onednn::data_type(type), dnnl::memory::format_tag::ab);
  const auto product = onednn::make<dnnl::matmul>(
      onednn::attributes(), a, onednn::any({kSize, kSize}, type),
      dnnl::memory::desc({kSize, kSize}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab));
  onednn::Operation operation(
      product, dnnl::matmul(product),
      {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, product.weights_desc()}, {DNNL_ARG_DST, product.dst_desc()}});
  const Buffer left(matrix.bytes()), right(onednn::bytes(product.weights_desc())), result(kSize * kSize * 4),
      scratch(operation.scratch_bytes());
  const std::vector<double> times = time_ms(3, 9, [&] {
    operation.run({left.data(), right.data(), result.data()}, scratch.data());
  });
  return 2.0 * kSize * kSize * kSize / times[times.size() / 2] / 1e6;
}

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void print_phase(std::ostream& out, const char* name, const PhaseResult& phase, double peak) {
  if (phase.batch == 0) return;
  out << "\n" << name << ", batch " << phase.batch << "\n";
  for (const OperationInfo& o : phase.operations) {
    std::string layers = o.name;
    for (const std::string& fused : o.fused) layers += " + " + fused.substr(fused.rfind('.') + 1);
    out << "  " << std::left << std::setw(44) << layers << std::right << std::setw(9) << o.forward_ms;
    if (o.backward_ms > 0) out << std::setw(9) << o.backward_ms;
    out << "  " << o.kernel << "\n";
  }
  out << "  step " << phase.median_ms << " ms (" << phase.fastest_ms << " to " << phase.slowest_ms << "), "
      << std::setprecision(0) << phase.images_per_second << " images per second, " << phase.gflops
      << " GFLOP/s = " << 100 * phase.gflops / peak << " % of the measured peak of " << peak << "\n"
      << std::setprecision(2);
}

nlohmann::ordered_json layers_json(const PhaseResult& phase) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const OperationInfo& o : phase.operations) {
    layers.push_back({{"name", o.name},
                      {"type", o.type},
                      {"fused", o.fused},
                      {"kernel", o.kernel},
                      {"result", to_string(o.dst)},
                      {"refresh_ms", o.refresh_ms},
                      {"forward_ms", o.forward_ms},
                      {"backward_ms", o.backward_ms}});
  }
  return layers;
}

}  // namespace

BenchmarkResult run_benchmark(Experiment& experiment, const BenchmarkOptions& options) {
  BenchmarkResult result;
  if (options.training) result.training = measure_training(experiment, options);
  if (options.inference) result.inference = measure_inference(experiment, options);
  result.peak_memory_bytes = peak_memory();
  // Last: an executor says in plain words what this processor cannot do.
  result.peak_gflops = measure_peak_gflops(experiment.run.precision);
  return result;
}

void print_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result) {
  out << cpu_description() << "; oneDNN " << onednn::version() << "; " << num_threads() << " threads; "
      << to_string(experiment.run.precision) << "\n"
      << std::fixed << std::setprecision(2);
  print_phase(out, "training: milliseconds forward and backward", result.training, result.peak_gflops);
  print_phase(out, "inference: milliseconds", result.inference, result.peak_gflops);
  out << "\npeak memory of the process " << result.peak_memory_bytes / (1 << 20) << " MiB\n" << std::defaultfloat;
}

void print_json_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result) {
  nlohmann::ordered_json json = {{"cpu", cpu_description()},
                                 {"onednn", onednn::version()},
                                 {"threads", num_threads()},
                                 {"precision", experiment.run.precision == DataType::kF32 ? "fp32" : "bf16"},
                                 {"parameters", experiment.network->learned_count()},
                                 {"macs", experiment.network->macs()},
                                 {"peak_gflops", result.peak_gflops},
                                 {"peak_memory_bytes", result.peak_memory_bytes}};
  const auto add = [&](const std::string& prefix, const PhaseResult& phase) {
    if (phase.batch == 0) return;
    json[prefix + "_batch"] = phase.batch;
    json[prefix + "_images_per_second"] = phase.images_per_second;
    json[prefix + "_ms"] = phase.median_ms;
    json[prefix + "_ms_fastest"] = phase.fastest_ms;
    json[prefix + "_ms_slowest"] = phase.slowest_ms;
    json[prefix + "_gflops"] = phase.gflops;
    json[prefix + "_activation_bytes"] = phase.activation_bytes;
  };
  add("train", result.training);
  add("infer", result.inference);
  if (result.training.batch != 0) json["train_layers"] = layers_json(result.training);
  if (result.inference.batch != 0) json["infer_layers"] = layers_json(result.inference);
  out << json.dump(2) << "\n";
}

}  // namespace sluice
