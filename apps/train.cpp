// sluice-train: trains the network of a configuration.
#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/find_lr.hpp"
#include "apps/load.hpp"
#include "apps/on_all_ranks.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "core/base/cpu.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/printable.hpp"
#include "core/base/signals.hpp"
#include "core/base/terminal.hpp"
#include "core/config/path.hpp"
#include "core/config/text.hpp"
#include "core/distributed/engine.hpp"
#include "core/distributed/rank_facts.hpp"
#include "core/graph/layer_table.hpp"
#include "core/graph/onednn.hpp"
#include "core/graph/version.hpp"
#include "core/train/advice.hpp"
#include "core/train/peak_rate.hpp"
#include "core/train/trainer.hpp"
#include "gating/gating.hpp"
#ifdef SLUICE_TENSORBOARD
#include "apps/tensorboard/tensorboard.hpp"
#endif

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "CONFIG.ini... [--section.key=value ...] [options]";
  program.summary =
      "Trains the network that configuration files declare; later files and overrides win. Writes a run directory: "
      "configuration, metrics, log and checkpoints.";
  program.prints = false;  // the log file has it too
  program.flags = {
      {"dry-run", "", "Check everything, print the layer table, and stop; what is wrong with data is a warning."},
      {"print-config", "", "Print the resolved configuration, and stop."},
      {"find-lr", "", "Try growing rates, suggest an optimizer.lr; makes no run."},
      {"lr-range", "FROM:TO", "With --find-lr: the rates to try (1e-6:10)."},
      {"lr-steps", "N", "With --find-lr: the number of rates (300)."},
      {"output", "FILE", "With --find-lr: write rate, loss, smoothed loss as CSV.", 'o'},
      force_flag(),
      {"resume", "", "Continue the run in run.dir."},
      {"auto-resume", "", "Continue the run in run.dir, or start it."},
      {"extend", "", "With another train.epochs: stretch the schedule to it."},
      {"accept-changes", "", "Continue with other data or keys; changes.log notes them."}};
  program.exact = {"print-config"};
  program.keys = key_names;
  program.notes = {
      "Exit codes: 0 done, 2 usage or configuration, 3 data, 4 diverged, 5 checkpoint, 6 environment, 75 stopped "
      "and resumable, 128 + n on a second signal."};
  program.configuration = key_documentation;
  program.usual = {"run.dir", "data.kind", "data.dir", "train.epochs", "train.batch", "train.max_time", "optimizer.lr"};
  return program;
}

/// runs/ and the first file's name without folder and extension.
std::string default_directory(const std::string& file) {
  const std::size_t slash = file.find_last_of('/');
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  return "runs/" + name.substr(0, name.find_last_of('.'));
}

/// Throws where the data would keep the run from starting.
void check_data(const Experiment& experiment) {
  const TrainingData data = open_training_data(experiment, nullptr, false, {});
  for (const std::string& warning : data.warnings) std::cerr << "warning: " << warning << "\n";
  for (const std::string& line : advice_on_validation(experiment.early_stopping, data.sets.validation.get()))
    std::cerr << "warning: " << line << "\n";
  const Pipeline pipeline(*data.sets.train,
                          training_pipeline(experiment.data, data.normalization, experiment.train.batch, 0));
  if (experiment.distillation.enabled())
    const Teachers teachers(experiment, data.normalization, experiment.train.batch);
}

/// The table does not need the data, which may be on another machine: what is wrong with them is a warning.
int dry_run(Experiment& experiment, const std::string& fewer_threads) {
  if (!fewer_threads.empty()) std::cerr << "warning: " << fewer_threads << "\n";
  const Executor executor(experiment.network(),
                          experiment.executor_options(Mode::kTraining, experiment.train.part_batch()));
  print_layer_table(std::cout, experiment.network(), executor, terminal_width(STDOUT_FILENO));
  for (const std::string& line : slow_kernels(executor)) std::cerr << "warning: " << line << "\n";
  for (const std::string& line : missing_activations(experiment.network())) std::cerr << "warning: " << line << "\n";
  for (const std::string& line : unread_layers(experiment.network())) std::cerr << "warning: " << line << "\n";
  for (const std::string& line : advice_on_decay(experiment.network(), experiment.optimizer))
    std::cerr << "warning: " << line << "\n";
  for (const std::string& line : advice_on_ramp(experiment.network(), static_cast<double>(experiment.train.epochs)))
    std::cerr << "warning: " << line << "\n";
  for (const std::string& line : advice_on_precision(experiment.run.precision))
    std::cerr << "warning: " << line << "\n";
  try {
    check_data(experiment);
  } catch (const Error& error) {
    std::cerr << "warning: training cannot start: " << error.what() << "\n";
  }
  return 0;
}

/// --run.dir; else the run directory whose config.ini is given; else run.dir of the files; else the default.
std::string directory_of(const Experiment& experiment, const std::string& file) {
  const Entry* dir = experiment.config.find("run")->find("dir");
  const bool given = dir != nullptr && dir->origin == Entry::Origin::kCommandLine && !experiment.run.dir.empty();
  if (const auto own = RunDirectory::of_configuration(file); own && !given) return *own;
  return experiment.run.dir.empty() ? default_directory(file) : experiment.run.dir;
}

RunMode run_mode(const CommandLine& line) {
  if (line.has("resume") && line.has("auto-resume")) {
    throw Error(ExitCode::kUsage, "command line: --resume and --auto-resume exclude each other; give one of them");
  }
  for (const char* word : {"extend", "accept-changes"}) {
    if (line.has(word) && !line.has("resume") && !line.has("auto-resume"))
      throw Error(ExitCode::kUsage, concat("command line: --", word, " goes with --resume or --auto-resume"));
  }
  if (line.has("resume")) return RunMode::kResume;
  return line.has("auto-resume") ? RunMode::kAutoResume : RunMode::kNew;
}

/// Opened by the root, for all ranks.
std::unique_ptr<RunDirectory> open_directory(Communicator& ranks, const std::string& path, RunMode mode) {
  std::unique_ptr<RunDirectory> directory;
  together(ranks, [&] {
    if (ranks.is_root()) directory = std::make_unique<RunDirectory>(path, mode);
  });
  std::int64_t holds_run = ranks.is_root() && directory->holds_run() ? 1 : 0;
  ranks.broadcast(&holds_run, sizeof holds_run, 0);
  if (!ranks.is_root()) directory = std::make_unique<RunDirectory>(path, holds_run != 0);
  return directory;
}

/// The others take what the root has measured of the images as given: each reading all of them once more would take as
/// long again, and a large set from a file system that all share longer still.
void share_normalization(Communicator& ranks, const Trainer* of_root, DataOptions& options) {
  const Normalization known = ranks.is_root() ? of_root->normalization() : Normalization{};
  for (const auto& [values, words] : {std::pair(&known.mean, &options.mean), std::pair(&known.std, &options.std)}) {
    std::string text;
    for (const double value : *values) text += concat(text.empty() ? "" : ",", std::setprecision(17), value);
    text = broadcast(ranks, text, 0);
    if (!ranks.is_root() && *words == std::vector<std::string>{"measure"}) *words = split_list(text);
  }
}

/// The root first: what it mends of a run that goes on is there when the others look.
std::unique_ptr<Trainer> make_trainer(Communicator& ranks, DataOptions& data,
                                      const std::function<std::unique_ptr<Trainer>()>& make) {
  std::unique_ptr<Trainer> trainer;
  for (const bool turn_of_root : {true, false}) {
    together(ranks, [&] {
      if (ranks.is_root() == turn_of_root) trainer = make();
    });
    if (turn_of_root) share_normalization(ranks, trainer.get(), data);
  }
  return trainer;
}

std::string machine_text() {
  return concat(cpu_description(), "; oneDNN ", onednn::version(), "; ", num_threads(),
                num_threads() == 1 ? " thread of " : " threads of ", available_threads());
}

/// A line for each rank, and what is wrong with where they run.
void describe_ranks(Communicator& ranks, const std::string& machine, Log& log) {
  if (ranks.size() == 1) return;
  RankFacts own;
  own.host = host_name();
  own.machine = machine;
  own.build = concat("Sluice ", sluice_version(), " by ", compiler_version(), " with oneDNN ", onednn::version());
  own.instructions = to_string(cpu_isa());
  own.threads = num_threads();
  find_place(own);
  const std::vector<RankFacts> all = exchange_facts(ranks, own);
  log.info(concat(ranks.size(), " ranks over ", ranks.library(), " (", ranks.transport(), ")"));
  for (std::size_t rank = 0; rank < all.size(); ++rank) log.info("  " + facts_text(rank, all[rank]));
  for (const std::string& line : rank_warnings(all)) log.warning(line);
}

/// How a batch is divided, where that changes what a step is.
void describe_batch(const Experiment& experiment, int ranks, Log& log) {
  if (experiment.distributed.batches(ranks) == 1) return;
  log.info(concat("batch of ", experiment.train.batch, " images, learning rate ", experiment.optimizer.lr));
}

/// Throws where [log] tensorboard is wanted of a build that cannot.
void check_observer([[maybe_unused]] const Experiment& experiment) {
#ifndef SLUICE_TENSORBOARD
  if (experiment.log.tensorboard)
    throw Error(ExitCode::kUsage, concat(experiment.where("log", "tensorboard"),
                                         ": this build has no protobuf, which event files need: leave it at no, or "
                                         "build with protobuf (docs/building.md)"));
#endif
}

/// Null where nobody wants one.
std::unique_ptr<TrainingObserver> observer_of([[maybe_unused]] Experiment& experiment,
                                              [[maybe_unused]] const RunDirectory& directory) {
#ifdef SLUICE_TENSORBOARD
  if (experiment.log.tensorboard)
    return observe_for_tensorboard(experiment, directory.event_file(), directory.metrics_csv());
#endif
  return nullptr;
}

int train(Experiment& experiment, Communicator& ranks, const CommandLine& line, double start,
          const std::string& fewer_threads) {
  const std::string path = directory_of(experiment, line.positional().front());
  std::string machine;
  together(ranks, [&] { machine = machine_text(); });
  StopSignals::end_at_once(false);
  const std::unique_ptr<RunDirectory> directory = open_directory(ranks, path, run_mode(line));
  const Descriptor nowhere("/dev/null", O_WRONLY | O_CLOEXEC, "/dev/null");  // the root speaks for all
  Log log(ranks.is_root() ? STDOUT_FILENO : nowhere.get(), ranks.is_root() ? STDERR_FILENO : nowhere.get());
  if (ranks.is_root()) log.open_file(directory->log_file());
  log.info(concat("run directory ", path, "; ", machine));
  describe_ranks(ranks, machine, log);
  describe_batch(experiment, ranks.size(), log);
  if (!fewer_threads.empty()) log.warning(fewer_threads);
  for (const std::string& warning : experiment.config.diagnostics().warnings()) log.warning(warning);
  for (const std::string& note : experiment.config.diagnostics().notes()) log.info("note: " + note);
  for (const std::string& warning : directory->warnings()) log.warning(warning);
  for (const std::string& warning : advice_on_decay(experiment.network(), experiment.optimizer)) log.warning(warning);
  for (const std::string& warning : advice_on_ramp(experiment.network(), static_cast<double>(experiment.train.epochs)))
    log.warning(warning);
  if (ranks.is_root())
    for (const std::string& warning : advice_on_precision(experiment.run.precision)) log.warning(warning);
  bool started = false;
  try {
    const std::unique_ptr<Trainer> trainer = make_trainer(ranks, experiment.data, [&] {
      const ResumePermission permission{line.has("extend"), line.has("accept-changes")};
      return std::make_unique<Trainer>(experiment, *directory, ranks, log, start, permission);
    });
    together(ranks, throw_if_stopped);
    const std::unique_ptr<TrainingObserver> observer = observer_of(experiment, *directory);
    started = true;
    return static_cast<int>(trainer->run(advice_on_target, observer.get()));
  } catch (const std::exception& error) {
    const bool failed = started || stop_requested() == 0;
    log.note(concat(!failed ? "" : started ? "error: " : "refused: ", error.what()));  // main prints it
    if (!started && ranks.is_root()) directory->discard();
    throw;
  }
}

constexpr int kPlainWidth = 80;  // of what is no terminal

/// The root speaks for all ranks.
int find_lr(Experiment& experiment, Communicator& ranks, const CommandLine& line, const std::string& fewer_threads) {
  StopSignals::end_at_once(false);
  LrSweepOptions options;
  std::optional<Output> output;
  together(ranks, [&] {
    options = sweep_options(line);
    if (ranks.is_root()) output = sweep_output(line, experiment);
  });
  const bool prints_table = output && output->is_standard_output();
  const Descriptor nowhere("/dev/null", O_WRONLY | O_CLOEXEC, "/dev/null");
  Log log(!ranks.is_root() ? nowhere.get()
          : prints_table   ? STDERR_FILENO
                           : STDOUT_FILENO,
          ranks.is_root() ? STDERR_FILENO : nowhere.get());
  if (!fewer_threads.empty()) log.warning(fewer_threads);
  for (const std::string& warning : experiment.config.diagnostics().warnings()) log.warning(warning);
  const LrSweep sweep = sweep_learning_rates(experiment, ranks, log, options);
  if (!ranks.is_root()) return 0;
  if (output) output->write(table_of(sweep));
  print_sweep(output ? report_stream(*output) : std::cout, sweep, options, experiment,
              terminal_width(prints_table ? STDERR_FILENO : STDOUT_FILENO).value_or(kPlainWidth));
  return 0;
}

/// The configuration, or what is wrong with it: the ranks are connected in between, as it says.
struct Loaded {
  Registry registry;
  std::unique_ptr<Experiment> experiment;
  std::exception_ptr error;

  explicit Loaded(const CommandLine& line) {
    try {
      experiment = std::make_unique<Experiment>(load_experiment(line.positional(), line.overrides(), registry));
    } catch (const Error&) {
      error = std::current_exception();
    }
  }
  Engine engine() const { return experiment != nullptr ? experiment->distributed.engine : Engine::kAuto; }
};

int run(const Loaded& loaded, Communicator& ranks, const CommandLine& line, double start) {
  together(ranks, [&] {
    check_find_lr(line);
    if (loaded.error) std::rethrow_exception(loaded.error);
  });
  Experiment& experiment = *loaded.experiment;
  if (line.has("print-config")) {
    if (ranks.is_root()) std::cout << experiment.config.resolved();
    return 0;
  }
  std::string fewer_threads;
  together(ranks, [&] {
    experiment.share_among(ranks.size());
    check_observer(experiment);
    fewer_threads = experiment.configure_threads();
  });
  if (experiment.distributed.helper) ranks.start_helper();
  if (line.has("find-lr")) return find_lr(experiment, ranks, line, fewer_threads);
  if (line.has("dry-run")) return ranks.is_root() ? dry_run(experiment, fewer_threads) : 0;
  return train(experiment, ranks, line, start, fewer_threads);
}

/// What is missing where no file is given, and for who resumes a run by its directory alone the command that does.
std::string missing_file(const CommandLine& line) {
  constexpr char kDirectory[] = "--run.dir=";
  std::string flags, directory, overrides;
  for (const char* flag : {"resume", "auto-resume", "extend", "accept-changes"})
    if (line.has(flag)) flags += concat(" --", flag);
  for (const std::string& override : line.overrides()) {
    if (starts_with(override, kDirectory)) {
      directory = expand_path(override.substr(sizeof kDirectory - 1));
    } else {
      overrides += " " + override;
    }
  }
  const std::string expected = "command line: expected a configuration file, ";
  const std::string of_run = (std::filesystem::path(directory) / "config.ini").string();
  if (flags.empty()) return expected + "such as configs/experiments/fashion_mnist.ini";
  if (!directory.empty() && RunDirectory::of_configuration(of_run))
    return concat(expected, "as in: sluice-train ", of_run, flags, overrides);
  return expected + "such as the config.ini in the directory of the run";
}

}  // namespace

int main(int argc, char** argv) {
  const StopSignals signals;  // first of all: a signal in the first second ends the run like one between steps
  // One of several ranks tells the others first: they would wait for it to connect.
  StopSignals::end_at_once(launched_by() == Engine::kNone);
  const double start = TimeBudget::steady_seconds();
  return run_program("sluice-train", describe, argc, argv, [start](const CommandLine& line) {
    if (line.positional().empty()) throw Error(ExitCode::kUsage, missing_file(line));
    const Loaded loaded(line);
    const std::unique_ptr<Communicator> ranks = connect(loaded.engine());
    return on_all_ranks("sluice-train", *ranks, [&] { return run(loaded, *ranks, line, start); });
  });
}
