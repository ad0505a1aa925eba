#include "core/train/experiment.hpp"

#include <algorithm>
#include <ostream>
#include <type_traits>

#include "core/base/error.hpp"
#include "core/plugin/load.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

template <class Options>
std::vector<KeyDoc> docs_of(Options options) {
  Keys keys;
  options.describe(keys);
  return keys.docs();
}

/// What the configuration reads of layers and blocks before their types do.
std::vector<KeyDoc> layer_keys() {
  return {{"type", "text", "", "", "what the layer is, one of those below", false},
          {"block", "text", "", "", "instead of type: the block whose layers stand here", false},
          {"repeat", "integer", "", "1 to 1000", "with block: how often, as NAME.0, NAME.1, ...", false},
          {"from", "list of texts", "", "",
           "sources: layers before this one, data or labels; default: the layer before, at first data", false},
          {"share", "text", "", "", "use the parameters of this earlier layer", false},
          {"after", "text", "", "", "stands behind this layer or block, whose readers read it instead", false},
          {"remove", "yes or no", "no", "", "leave the layer out; its readers read what it would", false},
          {"replace", "yes or no", "no", "", "drop what files before this one say of the layer, but for from", false}};
}

std::vector<KeyDoc> block_keys() {
  return {
      {"parameters", "list of texts", "", "", "names that its layers use as ${NAME}; NAME=VALUE has a default", false},
      {"first_only", "list of texts", "", "", "parameters that only the first repetition takes", false}};
}

/// With the sections that everybody has in the order in which resolved configurations show them.
Config in_order(Config config) {
  for (const char* section : {"run", "train", "eval", "checkpoint", "data"}) config.section(section);
  return config;
}

}  // namespace

void TrainOptions::describe(Keys& keys) {
  keys.optional("epochs", epochs, at_least(std::int64_t{1}), "passes over the training set");
  keys.optional("batch", batch, between(1, kMostInBatch), "images in a step");
  keys.optional(
      "accumulate", accumulate, between(1, kMostInBatch),
      "parts that a batch is computed in, one after the other, where it needs too much memory at once; the step "
      "takes the mean of their gradients, and batch normalisation sees one part at a time");
  if (accumulate > 0 && batch % accumulate != 0)
    keys.error("accumulate", concat("expected a number that divides the batch of ", batch, ", got ", accumulate));
  keys.optional("evaluate_every", evaluate_every, at_least(std::int64_t{1}), "epochs from one evaluation to the next");
  keys.optional(
      "evaluate_every_steps", evaluate_every_steps, at_least(std::int64_t{0}),
      "steps from one evaluation to the next besides, also within epochs: rows of metrics, the best checkpoint "
      "and early stopping take them like the others; 0: only at ends of epochs");
  duration_key(
      keys, "max_time", max_time_text, max_time,
      "stop with a checkpoint before this much time is used up (2h, 90m, 1:30:00, Slurm's 1-12:30; a bare number is "
      "seconds, where Slurm takes minutes; empty: no limit)");
  keys.path("init", init,
            "checkpoint of the same network whose weights the run starts from; empty: drawn anew from run.seed");
  keys.optional("init_partial", init_partial,
                "train.init may lack tensors of the network, which keep their initial values, or have others");
  keys.role(KeyRole::kContinues, {"epochs"}, "the run ends after them");
  keys.role(KeyRole::kContinues, {"batch"},
            "steps have this size from here on; lr, momentum and averages are per step");
  keys.role(KeyRole::kContinues, {"accumulate"}, "batch normalisation sees parts of this size from here on");
  keys.role(KeyRole::kContinues, {"evaluate_every"}, "epochs that are not evaluated cannot be the best");
  keys.role(KeyRole::kContinues, {"evaluate_every_steps"}, "what is evaluated can be the best");
  keys.role(KeyRole::kNothing, {"max_time"}, "no effect on the result");
  keys.of_machine({"max_time"});
}

void CheckpointOptions::describe(Keys& keys) {
  keys.optional("keep", keep, at_least(std::int64_t{1}),
                "how many of the newest checkpoints stay; the best stays besides");
  keys.optional("every_epochs", every_epochs, at_least(std::int64_t{1}), "epochs from one checkpoint to the next");
  duration_key(keys, "interval", interval_text, interval,
               "time from one checkpoint to the next inside an epoch (15m; empty: none)");
  keys.role(KeyRole::kNothing, {"keep", "every_epochs", "interval"}, "no effect on the result");
}

void DistillationOptions::describe(Keys& keys) {
  keys.paths("teacher", teachers,
             "checkpoint of a network with the same input and classes that this one learns from beside the labels; "
             "of several, the mean of their logits teaches; empty: none");
  keys.optional(
      "weight", weight, between(0.0, 1.0),
      "w in loss = (1 - w) CE + w T^2 KL(softmax(teacher / T) || softmax(network / T)), above 0 with a teacher");
  keys.optional("temperature", temperature, above_zero(), "T: how much the answers of both are softened");
  keys.role(KeyRole::kNothing, {"teacher"}, "its weights are compared instead of its name");
  if (keys.documenting()) return;
  if (!enabled() && weight > 0)
    keys.error("weight", "there is no teacher; set distillation.teacher, or leave weight at 0");
  if (enabled() && weight <= 0) keys.error("weight", "expected a number above 0, up to 1, with a teacher");
}

Experiment::Experiment(Config c, const Registry& registry) : ConfiguredNetwork(in_order(std::move(c))) {
  train = read_here<TrainOptions>(config, "train");
  checkpoint = config.read<CheckpointOptions>("checkpoint");
  optimizer = OptimizerOptions::read(config);
  schedule = config.read<ScheduleOptions>("schedule");
  ema = config.read<EmaOptions>("ema");
  distillation = config.read<DistillationOptions>("distillation");
  distributed = config.read<DistributedOptions>("distributed");
  early_stopping = config.read<EarlyStoppingOptions>("early_stopping");
  log = read_here<LogOptions>(config, "log");
  schedule.check(config, optimizer.lr, train.epochs);
  build(registry, Unread::kRefused);
  optimizer.check_groups(parameter_ranges(network()), config);
  config.check();
}

void Experiment::share_among(std::int64_t ranks) {
  const std::int64_t batch = train.batch * distributed.batches(ranks);
  if (batch > kMostInBatch) {
    throw Error(ExitCode::kUsage, concat(where("train", "batch"), ": ", train.batch, " images on each of ", ranks,
                                         " ranks are ", batch, ", at most ", kMostInBatch, " are allowed; lower it"));
  }
  train.batch = batch;
  optimizer.lr *= distributed.lr_factor(ranks);
  if (train.part_batch() >= ranks) return;
  const bool parts = train.accumulate > 1;
  throw Error(ExitCode::kUsage, concat(where("train", parts ? "accumulate" : "batch"), ": a ", parts ? "part" : "batch",
                                       " of ", train.part_batch(), " does not give each of ", ranks,
                                       " ranks an image; ", parts ? "lower it" : "raise it", ", or start fewer"));
}

void Experiment::print_help(std::ostream& out, const Registry& registry) {
  visit_sections([&](const char* section, const auto& options) {
    print_docs(out, section, docs_of(options));
    if constexpr (std::is_same_v<decltype(options), const OptimizerOptions&>)
      print_docs(out, "group.NAME", docs_of(GroupOptions()));
  });
  print_docs(out, "network", docs_of(NetworkOptions()));
  print_docs(out, "layer.NAME", layer_keys(), "layers in their order; docs/configuration.md has examples");
  for (const std::string& type : registry.types()) {
    print_docs(out, "layer.NAME", registry.keys(type), concat("type = ", type, ": ", registry.doc(type)));
  }
  print_docs(out, "type.TYPE", {}, "keys for every layer of a type that does not say otherwise");
  print_docs(out, "block.NAME", block_keys(), "a group of layers; its layers stand in [block.NAME.LAYER]");
  print_docs(out, "define", {}, "NAME = value, put in for ${NAME}; ${env:NAME} is an environment variable");
  for (const std::string& loss : registry.auxiliary_losses()) {
    Keys keys;
    registry.make_auxiliary_loss(loss, keys);
    print_docs(out, loss, keys.docs());
  }
  print_docs(out, "plugins", docs_of(PluginOptions()));
}

std::vector<std::string> Experiment::key_names() {
  std::vector<std::string> names;
  visit_sections([&](const char* section, const auto& options) {
    for (const KeyDoc& doc : docs_of(options)) names.push_back(concat(section, ".", doc.name));
  });
  return names;
}

std::vector<ParameterRange> parameter_ranges(const Network& network) {
  std::vector<ParameterRange> ranges;
  for (const Parameter& p : network.parameters()) {
    ranges.push_back({concat(p.layer, ".", p.name), p.group, p.offset, p.shape.count()});
  }
  return ranges;
}

}  // namespace sluice
