// sluice-deploy: makes a checkpoint ready for inference on this machine.
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/load.hpp"
#include "apps/program.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/kernel_plan.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/training_checkpoint.hpp"

namespace {

using namespace sluice;

constexpr int kRounds = 7;

Program describe() {
  Program program;
  program.name = "sluice-deploy";
  program.usage = "CHECKPOINT.h5 -o DEPLOYABLE.h5 [--section.key=value ...] [options]";
  program.summary =
      "Makes a checkpoint ready for inference: drops what only training needs, and measures on images of the data "
      "set,\n"
      "eval.batch at a time, which of its kernels each layer runs fastest here. Reports the accuracy before and after.";
  program.flags = {{"output", "FILE", "The file to write; must not be there.", 'o'},
                   {"images", "SPLIT", "Measure on images of train (default), validation or test."},
                   {"precision", "NAME", "Of the deployed network, fp32 or bf16: the same as --run.precision=NAME."},
                   {"json", "", "Print JSON."}};
  program.more_help = [](std::ostream& out) {
    out << "\nExit codes: 0 done, 2 usage or configuration, 3 data, 5 checkpoint, 6 environment.\n";
    print_keys(out);
  };
  return program;
}

std::vector<std::string> overrides_of(const CommandLine& line) {
  std::vector<std::string> overrides = line.overrides();
  if (const auto precision = line.value("precision")) overrides.push_back("--run.precision=" + *precision);
  return overrides;
}

std::string output_of(const CommandLine& line) {
  const std::optional<std::string> output = line.value("output");
  if (!output) throw Error(ExitCode::kUsage, "command line: expected -o DEPLOYABLE.h5, the file to write");
  if (std::filesystem::exists(*output))
    throw Error(ExitCode::kUsage, concat(*output, ": is there already; name another file or remove it"));
  return *output;
}

/// The plan of the whole network on the first images of a split.
std::vector<PlannedKernel> plan(Experiment& experiment, const Checkpoint& checkpoint, Split split) {
  const std::unique_ptr<Dataset> dataset = open_dataset(experiment.data, split);
  check_data_fits(*experiment.network, *dataset);
  const std::int64_t batch = std::min(experiment.eval.batch, dataset->size());
  Pipeline pipeline(*dataset,
                    evaluation_pipeline(experiment.data, normalization_of(experiment, checkpoint, *dataset), batch));
  pipeline.start(0);
  const Batch& images = *pipeline.next();
  Executor executor(*experiment.network, experiment.executor_options(Mode::kInference, batch));
  executor.refresh();
  executor.set_batch(images.images.data(), images.labels.data());
  return plan_kernels(executor, kRounds, 1, [&] { executor.forward(); });
}

Evaluation evaluate(Experiment& experiment, const Checkpoint& checkpoint, const Dataset& test, bool skip,
                    const std::vector<KernelChoice>& kernels) {
  ExecutorOptions options = experiment.executor_options(Mode::kInference, experiment.eval.batch);
  options.skip = skip;
  Evaluator evaluator(
      *experiment.network, options, test,
      evaluation_pipeline(experiment.data, normalization_of(experiment, checkpoint, test), experiment.eval.batch));
  evaluator.choose(kernels);
  return *evaluator.run();
}

/// What is written: the weights, with the plan, what it was made on, and what the deployed network did on the test set.
Checkpoint deployable(const Checkpoint& source, const Experiment& experiment, const std::vector<PlannedKernel>& plan,
                      const Evaluation& after) {
  Checkpoint made = source.kind == Checkpoint::Kind::kFull ? weights_of(source) : source;
  made.kind = Checkpoint::Kind::kDeployable;
  made.config = experiment.config.resolved();
  made.evaluation = statistic_table(*experiment.network, after.counts, after.sums);
  made.state["instruction_set"] = to_string(cpu_isa());
  made.state["threads"] = std::int64_t{num_threads()};
  made.run["deployed_from"] = source.file;
  made.plan.clear();
  for (const PlannedKernel& kernel : plan)
    made.plan[kernel.layer] = kernel.alternatives[static_cast<std::size_t>(kernel.chosen)];
  return made;
}

void print(std::ostream& out, const std::string& output, const std::vector<PlannedKernel>& plan,
           const Evaluation& before, const Evaluation& after) {
  out << std::fixed << std::setprecision(3);
  for (const PlannedKernel& kernel : plan) {
    out << "  " << std::left << std::setw(24) << kernel.layer << std::right;
    for (std::size_t k = 0; k < kernel.ms.size(); ++k) {
      const bool chosen = static_cast<int>(k) == kernel.chosen;
      out << "  " << (chosen ? "[" : "") << kernel.alternatives[k] << " " << kernel.ms[k] << " ms"
          << (chosen ? "]" : "");
    }
    out << "\n";
  }
  out << std::setprecision(2) << "accuracy before  " << 100 * before.accuracy() << " % (" << before.correct << " of "
      << before.images << "), " << std::setprecision(0) << before.images_per_second() << " images per second\n"
      << std::setprecision(2) << "accuracy after   " << 100 * after.accuracy() << " % (" << after.correct << " of "
      << after.images << "), " << std::setprecision(0) << after.images_per_second() << " images per second\n"
      << "wrote " << output << "\n"
      << std::defaultfloat;
}

void print_json(std::ostream& out, const std::string& output, const std::vector<PlannedKernel>& plan,
                const Evaluation& before, const Evaluation& after) {
  nlohmann::ordered_json json = {{"file", output},
                                 {"images", after.images},
                                 {"accuracy_before", before.accuracy()},
                                 {"accuracy_after", after.accuracy()},
                                 {"images_per_second_before", before.images_per_second()},
                                 {"images_per_second_after", after.images_per_second()},
                                 {"plan", nlohmann::ordered_json::object()}};
  for (const PlannedKernel& kernel : plan)
    json["plan"][kernel.layer] = kernel.alternatives[static_cast<std::size_t>(kernel.chosen)];
  out << json.dump(2) << "\n";
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
  std::vector<KernelChoice> kernels;
  for (const PlannedKernel& kernel : measured)
    kernels.emplace_back(kernel.layer, kernel.alternatives[static_cast<std::size_t>(kernel.chosen)]);
  const Evaluation before = evaluate(experiment, checkpoint, *test, false, {});
  const Evaluation after = evaluate(experiment, checkpoint, *test, true, kernels);
  save(deployable(checkpoint, experiment, measured, after), output);
  (line.has("json") ? print_json : print)(std::cout, output, measured, before, after);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program(describe(), argc, argv, deploy);
}
