#include "apps/load.hpp"

#include <iostream>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/checkpoint/stored_checkpoint.hpp"
#include "core/config/text.hpp"
#include "core/plugin/load.hpp"
#include "core/train/known_data.hpp"
#include "sluice/layer.hpp"

namespace sluice {
namespace {

/// A checkpoint's configuration with overrides. The bf16 that the file says, and no override, becomes fp32 where the
/// processor has none; a line on standard error says so.
Config stored_config(const Checkpoint& checkpoint, std::vector<std::string> overrides) {
  Config config = Config::stored(checkpoint.config, checkpoint.file, overrides);
  const Section* const run = config.find("run");
  const Entry* const precision = run == nullptr ? nullptr : run->find("precision");
  if (precision == nullptr || !precision->stored || precision->value != "bf16" || cpu_has_bf16()) return config;
  std::cerr << "note: " << checkpoint.file
            << ": was trained in bf16, which this processor does not compute natively; it is used in fp32\n";
  overrides.emplace_back("--run.precision=fp32");
  return Config::stored(checkpoint.config, checkpoint.file, overrides);
}

}  // namespace

std::string key_documentation() {
  Registry registry;
  register_all(registry);
  TextWriter out;
  if (!registry.metrics().empty()) out << "Metrics of networks with layers that have them:\n";
  for (const MetricType& metric : registry.metrics()) out << "  " << metric.name << "  " << metric.doc << "\n";
  out << "\nThe types and keys of plug-ins are not listed, with --plugins.load either: the error about an unknown key "
         "names\nthose that there are.\n\nConfiguration keys:\n";
  Experiment::print_help(out, registry);
  return out.str();
}

std::vector<std::string> training_sections() {
  return {"train",          "optimizer",  "group.NAME", "schedule",    "ema",        "distillation",
          "early_stopping", "checkpoint", "log",        "gating_loss", "distributed"};
}

std::vector<std::string> key_names() {
  return Experiment::key_names();
}

Experiment load_experiment(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
                           Registry& registry) {
  register_all(registry);
  Config config = Config::load(files, overrides);
  load_plugins(config, registry);
  return Experiment(std::move(config), registry);
}

Trained load_trained(const std::string& path, const std::vector<std::string>& overrides, Registry& registry) {
  StoredCheckpoint stored(path);
  const Checkpoint& checkpoint = stored.document();
  register_all(registry);
  Config config = stored_config(checkpoint, overrides);
  load_plugins_for_checkpoint(config, checkpoint.file, registry);
  auto experiment = std::make_shared<Experiment>(std::move(config), registry);
  TrainedNetwork network(stored, experiment);
  return {checkpoint, std::move(experiment), std::move(network)};
}

void start_threads(const Experiment& experiment) {
  const std::string fewer = experiment.configure_threads();
  if (!fewer.empty()) std::cerr << "warning: " << fewer << "\n";
}

void note_unmeasured(const TrainedNetwork& trained) {
  const std::vector<std::string> layers = unmeasured_layers(trained.network());
  if (!layers.empty()) std::cerr << "warning: " << trained.file() << ": " << unmeasured_text(layers) << "\n";
}

void note_foreign_kernels(const Trained& trained) {
  const Checkpoint& checkpoint = trained.checkpoint;
  const auto differs = [&](const char* name, const StateValue& here) {
    const auto found = checkpoint.state.find(name);
    return found != checkpoint.state.end() && found->second != here;
  };
  if (checkpoint.kernels.empty()) return;
  const std::int64_t batch = Config::stored(checkpoint.config, checkpoint.file).read<EvalOptions>("eval").batch;
  std::string other;
  if (differs("instruction_set", to_string(cpu_isa())) || differs("threads", std::int64_t{num_threads()}))
    other = "another processor or number of threads";
  if (batch != trained.experiment->eval.batch) other += concat(other.empty() ? "" : ", and ", "batches of ", batch);
  if (other.empty()) return;
  std::cerr << "note: " << checkpoint.file << ": its plan was made for " << other
            << "; it works, and sluice-deploy makes a faster one for this\n";
}

std::optional<Split> split_of(const CommandLine& line, const std::string& flag) {
  const std::optional<std::string> name = line.value(flag);
  if (!name) return std::nullopt;
  if (*name == "test") return Split::kTest;
  if (*name == "validation") return Split::kValidation;
  if (*name == "train") return Split::kTrain;
  throw Error(ExitCode::kUsage,
              concat("command line: --", flag, ": expected test, validation or train, got '", *name, "'"));
}

KnownImages open_images(const Trained& trained, Split split, const std::string& flag, const Normalization* chosen) {
  Warnings warnings;
  const auto open = [&](Split which) {
    return open_known(*trained.experiment, trained.checkpoint, which, flag, warnings);
  };
  KnownImages images;
  images.dataset = open(split);
  const auto train = [&] { return split == Split::kTrain ? images.dataset : open(Split::kTrain); };
  images.normalization = chosen != nullptr ? *chosen : trained.network.normalization(train, warnings);
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << "\n";
  return images;
}

std::vector<std::string> class_names(const Dataset& dataset, const Network& network) {
  std::vector<std::string> names;
  for (std::int64_t c = 0; c < network.classes(); ++c)
    names.push_back(c < dataset.num_classes() ? dataset.class_name(c) : std::to_string(c));
  return names;
}

bool is_checkpoint_name(const std::string& path) {
  return ends_with(path, ".h5");
}

}  // namespace sluice
