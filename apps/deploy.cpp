// sluice-deploy: makes a checkpoint ready for inference on this machine.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/images.hpp"
#include "apps/load.hpp"
#include "apps/program.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/parallel.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/training_checkpoint.hpp"

namespace {

using namespace sluice;

constexpr int kRounds = 7;  // of a plan, at least
constexpr std::int64_t kRangeImages = 2048;

Program describe() {
  Program program;
  program.name = "sluice-deploy";
  program.usage = "CHECKPOINT.h5 -o DEPLOYABLE.h5 [--section.key=value ...] [options]";
  program.summary =
      "Makes a checkpoint ready for inference: drops what only training needs, and measures on images of the data "
      "set,\n"
      "eval.batch at a time, which of its kernels each layer runs fastest here, and for int8 the ranges by which "
      "layers\n"
      "round their sources to bytes. Reports the accuracy before and after.";
  program.flags = {
      {"output", "FILE", "The file to write; must not be there.", 'o'},
      {"images", "SPLIT", "Measure on images of train (default), validation or test."},
      {"precision", "NAME", "Of the deployed network, fp32, bf16 or int8: the same as --run.precision=NAME."},
      {"json", "", "Print JSON."}};
  program.keys = key_names;
  program.more_help = [](std::ostream& out) {
    out << "\nExit codes: 0 done, 2 usage or configuration, 3 data, 5 checkpoint, 6 environment.\n";
    print_keys(out);
  };
  return program;
}

std::vector<std::string> overrides_of(const CommandLine& line) {
  std::vector<std::string> overrides = line.overrides();
  if (const auto precision = line.value("precision")) overrides.push_back("--run.precision=" + *precision);
  overrides.emplace_back("--run.backend=skip");
  return overrides;
}

std::string output_of(const CommandLine& line) {
  const std::optional<std::string> output = line.path("output");
  if (!output || output->empty())
    throw Error(ExitCode::kUsage, "command line: expected -o DEPLOYABLE.h5, the file to write");
  std::error_code ignored;
  if (std::filesystem::exists(*output, ignored))
    throw Error(ExitCode::kUsage, concat(*output, ": is there already; name another file or remove it"));
  check_can_write(*output);
  return *output;
}

/// As many rounds as fill a second, for a plan of a few ways: short ones are told apart by many.
int rounds_for(const std::function<void()>& run) {
  constexpr double kWays = 4, kMost = 60;
  run();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return static_cast<int>(std::clamp(1 / (kWays * seconds), static_cast<double>(kRounds), kMost));
}

/// The plan of the whole network on these images, and for int8 its ranges.
std::vector<PlannedKernel> plan(Experiment& experiment, const Checkpoint& checkpoint, Split split) {
  const std::int64_t batch = experiment.eval.batch;
  const ExecutorOptions options = experiment.executor_options(Mode::kInference, batch);
  if (options.bytes)
    experiment.network->set_source_ranges(
        measure_source_ranges(*experiment.network, options, read_images(experiment, checkpoint, split, kRangeImages)));
  const BenchmarkImages images = read_images(experiment, checkpoint, split);
  Executor executor(*experiment.network, options);
  executor.refresh();
  const int forwards = plan_forwards(images, batch);
  const auto run = [&] { run_images(executor, images, forwards); };
  return plan_kernels(executor, rounds_for(run), forwards, run);
}

std::vector<KernelChoice> choices_of(const std::vector<PlannedKernel>& plan) {
  std::vector<KernelChoice> choices;
  for (const PlannedKernel& kernel : plan)
    choices.emplace_back(kernel.layer, kernel.alternatives[static_cast<std::size_t>(kernel.chosen)]);
  return choices;
}

/// On the whole test set; without kernels: by the checkpoint's own precision (fp32 for int8), everything computed.
Evaluation evaluate(Experiment& experiment, const Checkpoint& checkpoint, const Dataset& test,
                    const std::vector<KernelChoice>* kernels) {
  ExecutorOptions options = experiment.executor_options(Mode::kInference, experiment.eval.batch);
  if (kernels == nullptr) {
    const Precision own = Config::stored(checkpoint.config, checkpoint.file).read<RunOptions>("run").precision;
    options.skip = false;
    options.type = activation_type(own);
    options.bytes = false;
  }
  Evaluator evaluator(
      *experiment.network, options, test,
      evaluation_pipeline(experiment.data, normalization_of(experiment, checkpoint, test), experiment.eval.batch));
  if (kernels != nullptr) evaluator.choose(*kernels);
  return *evaluator.run();
}

/// What is written: the weights, with the plan, what it was made on, and what the deployed network did on the test set.
Checkpoint deployable(const Checkpoint& source, const Experiment& experiment, const Normalization& normalization,
                      const std::vector<KernelChoice>& kernels, const Evaluation& after) {
  Checkpoint made = untrained_checkpoint(experiment, normalization);
  made.kind = Checkpoint::Kind::kDeployable;
  made.class_names = source.class_names;
  made.history = source.history;
  for (const char* counter : {"epoch", "step"}) made.state[counter] = source.counter(counter);
  made.state["instruction_set"] = to_string(cpu_isa());
  made.state["threads"] = std::int64_t{num_threads()};
  if (experiment.run.precision == Precision::kInt8) made.ranges = experiment.network->source_ranges();
  made.evaluation = statistic_table(*experiment.network, after.counts, after.sums);
  made.plan = {kernels.begin(), kernels.end()};
  made.run["deployed_from"] = source.file;
  return made;
}

void print(std::ostream& out, const std::string& output, const std::vector<PlannedKernel>& plan,
           const Evaluation& before, const Evaluation& after) {
  out << std::fixed << std::setprecision(3);
  if (plan.empty()) out << "plan: empty, no layer of this network can run in several ways\n";
  for (const PlannedKernel& kernel : plan) {
    print_kernel(out, kernel);
    out << "\n";
  }
  out << std::setprecision(2) << "accuracy before  " << 100 * before.accuracy() << " % (" << before.correct << " of "
      << before.images << ")\naccuracy after   " << 100 * after.accuracy() << " % (" << after.correct << " of "
      << after.images << ")\nwrote " << output << "\n"
      << std::defaultfloat;
}

void print_json(std::ostream& out, const std::string& output, const std::vector<PlannedKernel>& plan,
                const Evaluation& before, const Evaluation& after) {
  nlohmann::ordered_json json = {{"file", output},
                                 {"images", after.images},
                                 {"accuracy_before", before.accuracy()},
                                 {"accuracy_after", after.accuracy()},
                                 {"plan", nlohmann::ordered_json::object()}};
  for (const auto& [layer, kernel] : choices_of(plan)) json["plan"][layer] = kernel;
  out << json_text(json) << "\n";
}

int deploy(const CommandLine& line) {
  if (line.positional().size() != 1) {
    throw Error(ExitCode::kUsage,
                concat("command line: expected one checkpoint, got ", line.positional().size(), " files"));
  }
  const std::string output = output_of(line);
  const Split split = split_of(line, "images").value_or(Split::kTrain);
  const Checkpoint checkpoint = load(line.positional().front());
  Registry registry;
  Experiment experiment = load_trained(checkpoint, overrides_of(line), registry);
  experiment.configure_threads();
  const std::unique_ptr<Dataset> test = open_dataset(experiment.data, Split::kTest);
  const std::vector<PlannedKernel> measured = plan(experiment, checkpoint, split);
  const std::vector<KernelChoice> kernels = choices_of(measured);
  const Evaluation before = evaluate(experiment, checkpoint, *test, nullptr);
  const Evaluation after = evaluate(experiment, checkpoint, *test, &kernels);
  save(deployable(checkpoint, experiment, normalization_of(experiment, checkpoint, *test), kernels, after), output);
  (line.has("json") ? print_json : print)(std::cout, output, measured, before, after);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(describe(), argc, argv, deploy);
}
