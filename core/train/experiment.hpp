// Everything a configuration says, read and checked: the network and the options of every part.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/distributed/options.hpp"
#include "core/model/configured_network.hpp"
#include "core/train/early_stopping.hpp"
#include "core/train/ema.hpp"
#include "core/train/log_options.hpp"
#include "core/train/optimizer.hpp"
#include "core/train/schedule.hpp"

namespace sluice {

/// `[train]`
struct TrainOptions {
  std::int64_t epochs = 1;
  std::int64_t batch = 128;
  std::int64_t accumulate = 1;            ///< parts of a batch
  std::int64_t evaluate_every = 1;        ///< epochs
  std::int64_t evaluate_every_steps = 0;  ///< besides; 0: only at ends of epochs
  std::string max_time_text;
  double max_time = 0;        ///< seconds, 0: no limit
  std::string init;           ///< checkpoint to take the first weights from; empty: none
  bool init_partial = false;  ///< it may lack tensors of the network, or have others
  /// Images that are computed together.
  std::int64_t part_batch() const { return batch / accumulate; }
  void describe(Keys& keys);
};

/// `[checkpoint]`
struct CheckpointOptions {
  std::int64_t keep = 3;
  std::int64_t every_epochs = 1;
  std::string interval_text;
  double interval = 0;  ///< seconds between checkpoints inside an epoch, 0: none
  void describe(Keys& keys);
};

/// `[distillation]`: whom to learn from.
struct DistillationOptions {
  std::vector<std::string> teachers;  ///< checkpoints; empty: none
  double weight = 0;
  double temperature = 4;
  bool enabled() const { return !teachers.empty(); }
  void describe(Keys& keys);
};

/// A whole experiment. Reading it reports every mistake of the configuration at once.
class Experiment : public ConfiguredNetwork {
 public:
  /// Takes the configuration (plug-ins are loaded already) and builds the network. Throws Error(kUsage) with all
  /// mistakes. The registry must outlive the experiment.
  Experiment(Config config, const Registry& registry);

  TrainOptions train;
  CheckpointOptions checkpoint;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  EmaOptions ema;
  DistillationOptions distillation;
  DistributedOptions distributed;
  EarlyStoppingOptions early_stopping;
  LogOptions log;

  /// Of so many ranks: train.batch becomes the batch of all of them, the learning rate grows with it, as
  /// `[distributed]` says. Throws Error(kUsage) where a rank would have no image in a step.
  void share_among(std::int64_t ranks);

  /// Every section with its keys, for --help: the same descriptions that read them.
  static void print_help(std::ostream& out, const Registry& registry);
  /// "train.epochs": the keys of the sections that are not the network's.
  static std::vector<std::string> key_names();
};

/// Calls visit(name, options) for every section that all experiments may have, in the order of --help: the one list of
/// them.
template <class Visit>
void visit_sections(Visit&& visit) {
  visit("run", RunOptions());
  visit("data", DataOptions());
  visit("train", TrainOptions());
  visit("optimizer", OptimizerOptions());
  visit("schedule", ScheduleOptions());
  visit("ema", EmaOptions());
  visit("distillation", DistillationOptions());
  visit("distributed", DistributedOptions());
  visit("early_stopping", EarlyStoppingOptions());
  visit("checkpoint", CheckpointOptions());
  visit("eval", EvalOptions());
  visit("log", LogOptions());
}

/// The ranges of the parameter arena, for the optimiser.
std::vector<ParameterRange> parameter_ranges(const Network& network);

}  // namespace sluice
