// sluice-bench: how fast a network trains and infers on this machine.
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <iostream>

#include "apps/data_speed.hpp"
#include "apps/images.hpp"
#include "apps/load.hpp"
#include "apps/on_all_ranks.hpp"
#include "apps/program.hpp"
#include "apps/rank_speed.hpp"
#include "apps/sweep.hpp"
#include "core/base/error.hpp"
#include "core/base/terminal.hpp"
#include "core/distributed/engine.hpp"
#include "core/train/benchmark.hpp"
#include "core/train/known_data.hpp"
#include "core/train/progress.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "CONFIG.ini... or CHECKPOINT.h5 [--section.key=value ...] [options]";
  program.summary =
      "Times training steps (train.batch images) and inference (eval.batch images) on random data, layer by layer and "
      "as a whole, and compares them with the machine's measured peak, and inference of a network with gates with that "
      "of its dense twin. Layers run as the plan of a deployed file says, else in the way that is fastest on these "
      "images.";
  program.flags = {
      {"steps", "N", "Timed steps (default 10); medians are printed."},
      {"only", "PHASE",
       "train or infer; in int8 there is inference alone. data: how fast training images are made, without a network."},
      {"images", "SPLIT", "Infer on images of test, validation or train instead of random ones."},
      {"plan", "",
       "Print how each gated layer can run, what was chosen, and from which density on it is slower than a "
       "dense one."},
      {"ranks", "",
       "Started by mpirun or srun: training steps of all ranks together, the bytes that they send, and the time that "
       "this costs with and without overlap."},
      {"predict", "", "With --ranks: what a model says of 8 to 1024 ranks like these."},
      {"json", "", "Print JSON."}};
  program.keys = key_names;
  program.notes = {"Exit codes: 0 done, 2 usage or configuration, 3 data, 5 checkpoint, 6 environment."};
  program.configuration = key_documentation;
  return program;
}

/// By its name; a directory is one of a run.
bool is_checkpoint(const std::string& path) {
  std::error_code error;
  return is_checkpoint_name(path) || std::filesystem::is_directory(path, error);
}

std::int64_t positive(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    throw Error(ExitCode::kUsage, concat("command line: --steps: expected an integer of at least 1, got '", text, "'"));
  }
  return value;
}

BenchmarkOptions read_options(const CommandLine& line) {
  BenchmarkOptions options;
  if (const auto steps = line.value("steps")) options.steps = positive(*steps);
  if (const auto only = line.value("only")) {
    if (*only != "train" && *only != "infer" && *only != "data") {
      throw Error(ExitCode::kUsage, concat("command line: --only: expected train, infer or data, got '", *only, "'"));
    }
    options.training = *only == "train";
    options.inference = *only == "infer";
  }
  for (const char* flag : {"plan", "images"}) {
    if (line.has(flag) && !options.inference)
      throw Error(ExitCode::kUsage,
                  concat("command line: --", flag, " is about inference; leave out --only=", *line.value("only")));
  }
  return options;
}

/// Training of several ranks.
int bench_ranks(const CommandLine& line, Communicator& ranks) {
  Registry registry;
  std::unique_ptr<Experiment> experiment;
  BenchmarkOptions options;
  together(ranks, [&] {
    options = read_options(line);
    if (ranks.size() == 1)
      throw Error(ExitCode::kUsage,
                  "command line: --ranks: this is a single process; start it with a launcher: mpirun "
                  "-n 2 sluice-bench CONFIG.ini --ranks");
    if (is_checkpoint(line.positional().front()))
      throw Error(ExitCode::kUsage, "command line: --ranks: expected a configuration file, got a checkpoint");
    experiment = std::make_unique<Experiment>(load_experiment(line.positional(), line.overrides(), registry));
    experiment->share_among(ranks.size());
    experiment->network().initialise(static_cast<std::uint64_t>(experiment->run.seed));
    start_threads(*experiment);
  });
  if (experiment->distributed.helper) ranks.start_helper();
  const RankSpeed speed = time_ranks(*experiment, ranks, options.steps);
  if (!ranks.is_root()) return 0;
  (line.has("json") ? print_json_rank_speed : print_rank_speed)(std::cout, speed, line.has("predict"));
  return 0;
}

/// The network of configuration files, with weights drawn at random.
Trained untrained(const CommandLine& line, Registry& registry) {
  auto experiment = std::make_shared<Experiment>(load_experiment(line.positional(), line.overrides(), registry));
  experiment->network().initialise(static_cast<std::uint64_t>(experiment->run.seed));
  return {{}, experiment, TrainedNetwork(experiment)};
}

/// A checkpoint's as its network knows them, and where it knows none that is what errors say.
KnownImages training_images(const Trained& trained, bool from_checkpoint) {
  if (from_checkpoint) return open_images(trained, Split::kTrain, "images");
  const TrainingData data = open_training_data(*trained.experiment, nullptr, false, {});
  for (const std::string& warning : data.warnings) std::cerr << "warning: " << warning << "\n";
  return {data.sets.train, data.normalization};
}

int bench(const CommandLine& line) {
  if (line.positional().empty()) {
    throw Error(ExitCode::kUsage, "command line: expected a configuration file or a checkpoint");
  }
  if (is_checkpoint(line.positional().front()) && line.positional().size() > 1)
    throw Error(ExitCode::kUsage, "command line: a checkpoint stands alone; use overrides to change its configuration");
  if (line.has("predict") && !line.has("ranks"))
    throw Error(ExitCode::kUsage, "command line: --predict goes with --ranks");
  if (line.has("ranks")) {
    const std::unique_ptr<Communicator> ranks = connect(Engine::kAuto);
    return on_all_ranks("sluice-bench", *ranks, [&] { return bench_ranks(line, *ranks); });
  }
  BenchmarkOptions options = read_options(line);
  const std::optional<Split> split = split_of(line, "images");
  Registry registry;
  const std::string& first = line.positional().front();
  const Trained trained =
      is_checkpoint(first) ? load_trained(first, line.overrides(), registry) : untrained(line, registry);
  Experiment& experiment = *trained.experiment;
  start_threads(experiment);
  if (line.value("only") == std::string("data")) {
    const DataSpeed speed = time_data(experiment, training_images(trained, is_checkpoint(first)), options.steps);
    (line.has("json") ? print_json_data_speed : print_data_speed)(std::cout, speed);
    return 0;
  }
  note_foreign_kernels(trained);
  if (is_checkpoint(first)) note_unmeasured(trained.network);
  if (experiment.run.precision == Precision::kInt8 && !line.has("only")) options.training = false;
  options.kernels = trained.network.kernels();
  options.alone = !line.has("plan");
  if (split) options.images = read_images(experiment, open_images(trained, *split, "images"));
  const std::int64_t batch = experiment.eval.batch;
  if (options.inference && !split) options.images = random_images(experiment.network(), batch);
  Log log(STDERR_FILENO, STDERR_FILENO);
  KeptRoom room;
  Progress progress(log, LogOptions(), room);
  options.progress = &progress;
  BenchmarkResult result = run_benchmark(experiment, options);
  if (split) result.split = to_string(*split);
  if (line.has("plan")) sweep_kernels(experiment, options.images, result.kernels, progress);
  if (line.has("json")) {
    print_json_benchmark(std::cout, experiment, result);
  } else {
    const std::optional<int> width = terminal_width(STDOUT_FILENO);
    print_benchmark(std::cout, experiment, result, width);
    if (line.has("plan")) print_kernels(std::cout, result.kernels, width);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-bench", describe, argc, argv, bench);
}
