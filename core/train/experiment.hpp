// Everything a configuration says, read and checked: the network and the options of every part.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/config/config.hpp"
#include "core/data/options.hpp"
#include "core/graph/executor.hpp"
#include "core/graph/network.hpp"
#include "core/train/early_stopping.hpp"
#include "core/train/ema.hpp"
#include "core/train/optimizer.hpp"
#include "core/train/progress.hpp"
#include "core/train/schedule.hpp"

namespace sluice {

/// What a network computes in. kInt8: inference whose layers multiply bytes where that is faster, and keep activations
/// in them where they can; the rest is fp32.
enum class Precision { kFp32, kBf16, kInt8 };
/// "fp32", "bf16", "int8".
std::string to_string(Precision precision);
/// Of the activations.
DataType activation_type(Precision precision);

/// `[run]`
struct RunOptions {
  std::string dir;
  std::int64_t seed = 1;
  std::int64_t threads = 0;  ///< 0: all that this process may use
  Precision precision = Precision::kFp32;
  ExecutorOptions::LayoutChoice layout = ExecutorOptions::LayoutChoice::kAuto;
  bool winograd = true;
  bool skip = true;
  void describe(Keys& keys);
};

/// `[train]`
struct TrainOptions {
  std::int64_t epochs = 1;
  std::int64_t batch = 128;
  std::int64_t evaluate_every = 1;  ///< epochs
  std::string max_time_text;
  double max_time = 0;        ///< seconds, 0: no limit
  std::string init;           ///< checkpoint to take the first weights from; empty: none
  bool init_partial = false;  ///< it may lack tensors of the network, or have others
  void describe(Keys& keys);
};

/// `[eval]`
struct EvalOptions {
  std::int64_t batch = 128;
  void describe(Keys& keys);
};

/// `[checkpoint]`
struct CheckpointOptions {
  std::int64_t keep = 2;
  std::int64_t every_epochs = 1;
  std::string interval_text;
  double interval = 0;  ///< seconds between checkpoints inside an epoch, 0: none
  void describe(Keys& keys);
};

/// `[distillation]`: see core/train/teacher.hpp.
struct DistillationOptions {
  std::vector<std::string> teachers;  ///< checkpoints; empty: none
  double weight = 0;
  double temperature = 4;
  bool enabled() const { return !teachers.empty(); }
  void describe(Keys& keys);
};

/// Drops the keys that belong to the machine (Keys::of_machine) and that the command line does not set: before the
/// configuration of a checkpoint, which may come from another machine, is read.
void forget_of_machine(Config& config);

/// A whole experiment. Reading it reports every mistake of the configuration at once.
class Experiment {
 public:
  /// Takes the configuration (plug-ins are loaded already) and builds the network. Throws Error(kUsage) with all
  /// mistakes. The registry must outlive the experiment.
  Experiment(Config config, const Registry& registry);

  Config config;
  RunOptions run;
  TrainOptions train;
  EvalOptions eval;
  CheckpointOptions checkpoint;
  DataOptions data;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  EmaOptions ema;
  DistillationOptions distillation;
  EarlyStoppingOptions early_stopping;
  LogOptions log;
  std::unique_ptr<Network> network;

  /// "file:line: [section] key", for messages about values.
  std::string where(const std::string& section, const std::string& key) const;
  /// Executors as `[run]` asks for them.
  ExecutorOptions executor_options(Mode mode, std::int64_t batch) const;
  /// Sets the number of threads and tells the processor to flush denormal numbers to zero. Call once, before the first
  /// step. Returns a line about what is used where the system grants fewer threads than `[run] threads` wants, else "".
  std::string configure_threads() const;
  /// Every section with its keys, for --help: the same descriptions that read them.
  static void print_help(std::ostream& out, const Registry& registry);
  /// "train.epochs": the keys of the sections that are not the network's.
  static std::vector<std::string> key_names();
};

/// The ranges of the parameter arena, for the optimiser.
std::vector<ParameterRange> parameter_ranges(const Network& network);

}  // namespace sluice
