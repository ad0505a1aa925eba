// sluice-deploy: makes a checkpoint ready for inference on this machine.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/images.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "apps/shift.hpp"
#include "apps/time_in_turn.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/parallel.hpp"
#include "core/base/table.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/graph/timing_runs.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/progress.hpp"

namespace {

using namespace sluice;

constexpr int kRounds = 7;  // of timing, at least
constexpr std::int64_t kRangeImages = 2048;

Program describe() {
  Program program;
  program.usage = "CHECKPOINT.h5 -o DEPLOYABLE.h5 [--section.key=value ...] [options]";
  program.summary =
      "Makes a checkpoint ready for inference: drops what only training needs, and measures on images of the data set, "
      "eval.batch at a time, which of its kernels each layer runs fastest here, and for int8 the ranges by which "
      "layers round their sources to bytes. Reports accuracy and time before and after.";
  program.flags = {
      {"output", "FILE", "The file to write, or - for standard output.", 'o'},
      force_flag(),
      {"images", "SPLIT", "Measure on images of train (default), validation or test."},
      {"precision", "NAME", "Of the deployed network, fp32, bf16 or int8: the same as --run.precision=NAME."},
      {"weight-levels", "NAME",
       "Round quantised weights to other levels: signed fit a byte, full (as published) do not."},
      {"shift", "AMOUNT", "Move all thresholds by this much first; sluice-eval --shift shows what that does."},
      {"json", "", "Print JSON."}};
  program.keys = key_names;
  program.notes = {"Exit codes: 0 done, 2 usage or configuration, 3 data, 5 checkpoint, 6 environment."};
  program.configuration = key_documentation;
  program.foreign = training_sections();
  return program;
}

std::vector<std::string> overrides_of(const CommandLine& line) {
  std::vector<std::string> overrides = line.overrides();
  if (const auto precision = line.value("precision")) overrides.push_back("--run.precision=" + *precision);
  overrides.emplace_back("--run.backend=skip");
  return overrides;
}

/// Overrides that put the weights of every layer that rounds them on other levels; none without the flag.
std::vector<std::string> level_overrides(const CommandLine& line, const Network& network) {
  const std::optional<std::string> levels = line.value("weight-levels");
  if (!levels) return {};
  if (*levels != "signed" && *levels != "full")
    throw Error(ExitCode::kUsage,
                concat("command line: --weight-levels: expected signed or full, got '", *levels, "'"));
  std::set<std::string> sections;  // a layer's own where it has the key, as stored configurations do, else its type's
  for (const Node& node : network.nodes()) {
    if (!node.layer->attributes().get<std::int64_t>("weight_levels")) continue;
    const bool own = node.section.find("weight_levels") != nullptr && starts_with(node.section.title(), "layer.");
    sections.insert(own ? node.section.title() : concat("type.", node.type));
  }
  if (sections.empty())
    throw Error(ExitCode::kUsage, "command line: --weight-levels: no layer of this network quantises its weights");
  std::vector<std::string> overrides;
  for (const std::string& section : sections) overrides.push_back(concat("--", section, ".weight_levels=", *levels));
  return overrides;
}

/// The checkpoint's network, but for what the flag changes.
Trained with_levels(const CommandLine& line, const Trained& source, Registry& registry) {
  std::vector<std::string> overrides = overrides_of(line);
  for (std::string& override : level_overrides(line, source.experiment->network())) overrides.push_back(override);
  Trained trained = load_trained(line.positional().front(), overrides, registry);
  int changed = 0;
  for (std::size_t i = 0; i < trained.experiment->network().nodes().size(); ++i) {
    const auto levels = [&](const Trained& of) {
      return of.experiment->network().nodes()[i].layer->attributes().get<std::int64_t>("weight_levels");
    };
    if (levels(trained) != levels(source)) ++changed;
  }
  std::cerr << "note: --weight-levels rounds the weights of " << changed << " layer" << (changed == 1 ? "" : "s")
            << " anew\n";
  return trained;
}

/// As many rounds as fill a second, for a few ways: short ones are told apart by many.
int rounds_for(const std::function<void()>& run) {
  constexpr double kWays = 4, kMost = 60;
  run();
  const auto begin = std::chrono::steady_clock::now();
  run();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return static_cast<int>(std::clamp(1 / (kWays * seconds), static_cast<double>(kRounds), kMost));
}

/// Measures what a network whose weights came from elsewhere lacks.
void complete(Experiment& experiment, const KnownImages& known) {
  const std::vector<std::string> layers = unmeasured_layers(experiment.network());
  if (layers.empty()) return;
  const BenchmarkImages images = read_images(experiment, known, kRangeImages);
  measure_layers(experiment.network(),
                 experiment.executor_options(Mode::kTraining, images.batch(experiment.eval.batch)), images);
  std::cerr << "note: measured the scales of what goes into " << layers.size() << " quantised layer"
            << (layers.size() == 1 ? "" : "s") << ", which the checkpoint has not\n";
}

/// Calibrates for int8, then times and chooses the kernels of the whole network on these images.
std::vector<TimedKernel> time_kernels(Experiment& experiment, const KnownImages& known, Progress& progress) {
  const BenchmarkImages images = read_images(experiment, known);
  const std::int64_t batch = images.batch(experiment.eval.batch);
  const ExecutorOptions options = experiment.executor_options(Mode::kInference, batch);
  if (options.int8)
    experiment.network().set_calibration(
        calibrate(experiment.network(), options, read_images(experiment, known, kRangeImages)));
  Executor executor(experiment.network(), options);
  executor.refresh();
  const int forwards = forwards_for(images, batch);
  const int rounds = rounds_for([&] { run_images(executor, images, forwards); });
  progress.begin("timing kernels", runs_to_choose(executor, rounds) * forwards * batch);
  std::vector<TimedKernel> kernels =
      choose_fastest(executor, rounds, forwards, [&] { run_images(executor, images, forwards, &progress); });
  progress.end();
  return kernels;
}

std::vector<KernelChoice> choices_of(const std::vector<TimedKernel>& kernels) {
  std::vector<KernelChoice> choices;
  for (const TimedKernel& kernel : kernels)
    choices.emplace_back(kernel.layer, kernel.alternatives[static_cast<std::size_t>(kernel.chosen)]);
  return choices;
}

/// By the checkpoint's own precision (fp32 for int8, and for bf16 where this processor has none).
ExecutorOptions own_options(const Trained& trained, std::int64_t batch) {
  const Checkpoint& checkpoint = trained.checkpoint;
  ExecutorOptions options = trained.experiment->executor_options(Mode::kInference, batch);
  const Precision own = Config::stored(checkpoint.config, checkpoint.file).read<RunOptions>("run").precision;
  options.type = cpu_has_bf16() ? activation_type(own) : DataType::kF32;
  options.int8 = false;
  return options;
}

/// Milliseconds for a batch of these images: as the checkpoint runs without being deployed (again), and with `kernels`.
std::vector<NetworkTime> time_both(const Trained& source, const Trained& trained, const KnownImages& known,
                                   const std::vector<KernelChoice>& kernels, Progress& progress) {
  const BenchmarkImages images = read_images(*trained.experiment, known);
  const std::int64_t batch = images.batch(trained.experiment->eval.batch);
  const int forwards = forwards_for(images, batch);
  Executor before(source.experiment->network(), own_options(source, batch));
  Executor after(trained.experiment->network(), trained.experiment->executor_options(Mode::kInference, batch));
  choose_kernels(before, source.network.kernels());
  choose_kernels(after, kernels);
  std::vector<NetworkRun> runs;
  for (Executor* executor : {&before, &after}) {
    executor->refresh();
    runs.push_back({[&images, forwards, executor] { run_images(*executor, images, forwards); }, forwards, batch});
  }
  return time_in_turn(runs, &progress);
}

/// On the whole test set; without kernels: by own_options, everything computed.
Evaluation evaluate(const Trained& trained, const KnownImages& test, const std::vector<KernelChoice>* kernels,
                    Progress& progress) {
  Experiment& experiment = *trained.experiment;
  ExecutorOptions options = experiment.executor_options(Mode::kInference, experiment.eval.batch);
  if (kernels == nullptr) {
    options = own_options(trained, experiment.eval.batch);
    options.skip = false;
  }
  Evaluator evaluator(experiment.network(), options, *test.dataset,
                      evaluation_pipeline(experiment.data, test.normalization, experiment.eval.batch));
  if (kernels != nullptr) evaluator.choose(*kernels);
  progress.begin(kernels == nullptr ? "evaluating before" : "evaluating after", test.dataset->size());
  const Evaluation evaluation =
      *evaluator.run([&](const Batch& batch, const float*, std::int64_t) { progress.pass(batch.count); });
  progress.end();
  for (const std::string& warning : picture_warnings(*test.dataset, evaluation))
    std::cerr << "warning: " << warning << "\n";
  return evaluation;
}

/// What is written: the weights, with the kernels, what they were chosen on, and what the deployed network did on the
/// test set.
Checkpoint deployable(const Trained& trained, const Normalization& normalization,
                      const std::vector<KernelChoice>& kernels, const Evaluation& after) {
  const Checkpoint& source = trained.checkpoint;
  const Experiment& experiment = *trained.experiment;
  Checkpoint made = untrained_checkpoint(experiment, normalization);
  made.kind = Checkpoint::Kind::kDeployable;
  made.class_names = source.class_names;
  made.data = source.data;
  made.history = source.history;
  for (const char* counter : {"epoch", "step"}) made.state[counter] = source.counter(counter);
  made.state["instruction_set"] = to_string(cpu_isa());
  made.state["threads"] = std::int64_t{num_threads()};
  if (experiment.run.precision == Precision::kInt8) made.ranges = experiment.network().calibration().ranges;
  made.evaluation = statistic_table(experiment.network(), after.counts, after.sums);
  made.kernels = {kernels.begin(), kernels.end()};
  made.run["deployed_from"] = source.file;
  return made;
}

/// What was found.
struct Deployment {
  std::string file;
  std::vector<TimedKernel> kernels;
  std::string plan_split;               ///< whose images the kernels were timed on
  Evaluation before = {}, after = {};   ///< on the test set
  std::vector<NetworkTime> times = {};  ///< before and after
};

void print(std::ostream& out, const Deployment& deployed) {
  const NetworkTime &before = deployed.times[0], &after = deployed.times[1];
  print_plan(out, deployed.kernels, counted(after.batch, deployed.plan_split + " image"), width_of(out));
  Table table({{"", Table::Align::kLeft}, {"before"}, {"after"}});
  table.add({concat("accuracy on ", counted(deployed.after.images, to_string(Split::kTest) + " image")),
             accuracy_text(deployed.before.accuracy()), accuracy_text(deployed.after.accuracy())});
  table.add({concat("ms for a batch of ", after.batch, " on ", counted(num_threads(), "thread")),
             milliseconds_text(before.milliseconds), milliseconds_text(after.milliseconds)});
  table.print(out, width_of(out));
  const std::string unquiet =
      unquiet_text("networks", {{"the one before", before.spread}, {"the one after", after.spread}});
  if (!unquiet.empty()) out << unquiet << "\n";
  out << "wrote " << deployed.file << "\n";
}

void print_json(std::ostream& out, const Deployment& deployed) {
  const NetworkTime &before = deployed.times[0], &after = deployed.times[1];
  nlohmann::ordered_json json = {{"file", deployed.file},
                                 {"split", to_string(Split::kTest)},
                                 {"images", deployed.after.images},
                                 {"accuracy_before", deployed.before.accuracy()},
                                 {"accuracy_after", deployed.after.accuracy()},
                                 {"batch", after.batch},
                                 {"threads", num_threads()},
                                 {"ms_before", before.milliseconds},
                                 {"ms_after", after.milliseconds},
                                 {"plan_split", deployed.plan_split},
                                 {"plan", nlohmann::ordered_json::object()}};
  for (const auto& [layer, kernel] : choices_of(deployed.kernels)) json["plan"][layer] = kernel;
  out << json_text(json) << "\n";
}

/// The network while its thresholds stand elsewhere; null where they do not.
std::unique_ptr<GroupShift> shifted(const CommandLine& line, Network& network) {
  const std::optional<std::string> text = line.value("shift");
  if (!text) return nullptr;
  const std::vector<double> amounts = parse_shifts(*text, "command line: --shift");
  if (amounts.size() != 1) throw Error(ExitCode::kUsage, "command line: --shift: expected one number, got a range");
  return shift_thresholds(network, amounts.front());
}

int deploy(const CommandLine& line) {
  if (line.positional().size() != 1) {
    throw Error(ExitCode::kUsage,
                concat("command line: expected one checkpoint, got ", line.positional().size(), " files"));
  }
  const Output output = output_of(line, "output", "sluice-deploy",
                                  [](const std::string& path) { return is_checkpoint_with("deployed_from", path); });
  const Split split = split_of(line, "images").value_or(Split::kTrain);
  Registry registry, own_registry;
  const Trained source = load_trained(line.positional().front(), overrides_of(line), registry);
  const Trained trained = line.has("weight-levels") ? with_levels(line, source, own_registry) : source;
  Experiment& experiment = *trained.experiment;
  refuse_inputs(output, {trained.checkpoint.file}, experiment);
  start_threads(experiment);
  const KnownImages test = open_images(trained, Split::kTest, "images");
  const KnownImages images = split == Split::kTest ? test : open_images(trained, split, "images", &test.normalization);
  std::vector<std::unique_ptr<GroupShift>> shifts;
  for (const std::shared_ptr<Experiment>& each : {trained.experiment, source.experiment}) {
    if (!shifts.empty() && each == trained.experiment) continue;
    complete(*each, images);
    shifts.push_back(shifted(line, each->network()));
  }
  Log log(STDERR_FILENO, STDERR_FILENO);
  KeptRoom room;
  Progress progress(log, LogOptions(), room);
  Deployment deployed{output.path(), time_kernels(experiment, images, progress), to_string(split)};
  const std::vector<KernelChoice> kernels = choices_of(deployed.kernels);
  deployed.times = time_both(source, trained, images, kernels, progress);
  deployed.before = evaluate(source, test, nullptr, progress);
  deployed.after = evaluate(trained, test, &kernels, progress);
  save(deployable(trained, test.normalization, kernels, deployed.after), output);
  (line.has("json") ? print_json : print)(report_stream(output), deployed);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-deploy", describe, argc, argv, deploy);
}
