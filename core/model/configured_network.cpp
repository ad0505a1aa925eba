#include "core/model/configured_network.hpp"

#include <algorithm>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/onednn.hpp"

namespace sluice {
namespace {

/// Takes the sections of a checkpoint that nobody read as used; overrides in them are mistakes.
void pass_over_unread(Config& config) {
  for (Section& section : config.sections()) {
    const std::vector<Entry>& entries = section.entries();
    const auto stored = [](const Entry& entry) { return entry.stored; };
    if (section.used() || std::none_of(entries.begin(), entries.end(), stored)) continue;
    section.set_used();
    for (const Entry& entry : entries) {
      section.find(entry.key)->used = true;
      if (!entry.stored)
        section.report(config.diagnostics(), entry.key, "is not about the use of a trained network; leave it out");
    }
  }
}

/// Elsewhere oneDNN has no fast convolutions in this layout.
void require_blocks() {
  if (cpu_isa() == Isa::kAvx512 && onednn::has_blocks()) return;
  throw Error(ExitCode::kEnvironment, concat("run.layout = blocked needs a processor with AVX-512, this one is ",
                                             cpu_description(), "; use run.layout = auto"));
}

}  // namespace

std::string to_string(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
  }
  return "unknown";
}

DataType activation_type(Precision precision) {
  return precision == Precision::kBf16 ? DataType::kBF16 : DataType::kF32;
}

void RunOptions::describe(Keys& keys) {
  using Layout = ExecutorOptions::LayoutChoice;
  keys.path("dir", dir, "run directory; empty: runs/ and the name of the first configuration file");
  keys.optional("seed", seed, at_least(std::int64_t{0}),
                "seed of initial weights, shuffling, augmentation and dropout");
  keys.optional("threads", threads, between(0, 1024), "threads of a step; 0: all processors this process may use");
  keys.choice(
      "precision", precision, {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}, {"int8", Precision::kInt8}},
      "of activations and products; bf16 needs a processor that computes it natively; int8: inference of a file "
      "that sluice-deploy --precision=int8 made, products of bytes where that is faster; weights stay fp32");
  keys.choice("layout", layout, {{"auto", Layout::kAuto}, {"nhwc", Layout::kNhwc}, {"blocked", Layout::kBlocked}},
              "of activations in memory; auto: blocks of 16 channels where the processor and the network allow it; "
              "blocked needs AVX-512");
  keys.optional("winograd", winograd, "use Winograd's algorithm for 3x3 convolutions where it is faster");
  keys.choice("backend", skip, {{"skip", true}, {"dense", false}},
              "of inference; skip: layers leave out the work that their results do not need; dense: they do all of it, "
              "as in training");
  keys.role(KeyRole::kNothing, {"dir"}, "the directory has another name");
  keys.role(KeyRole::kRounding, {"threads", "layout", "winograd", "backend"}, "results may differ in the last bits");
  keys.of_machine({"dir", "threads", "layout"});
}

void EvalOptions::describe(Keys& keys) {
  keys.optional("batch", batch, between(1, kMostInBatch), "images evaluated at a time");
  keys.optional(
      "top_k", top_k, between(0, kMostInBatch),
      "5, for example, also tells the share of images whose class is among the network's five best answers; 0: "
      "none");
  keys.role(KeyRole::kNothing, {"top_k"}, "no effect on training");
  keys.role(KeyRole::kRounding, {"batch"}, "evaluations may differ in the last bits");
}

void forget_of_machine(Section& section, const std::vector<KeyDoc>& keys) {
  for (const KeyDoc& key : keys) {
    const Entry* const entry = section.find(key.name);
    if (key.of_machine && entry != nullptr && entry->stored) section.forget(key.name);
  }
}

ConfiguredNetwork::ConfiguredNetwork(Config c) : config(std::move(c)) {
  run = read_here<RunOptions>(config, "run");
  eval = read_here<EvalOptions>(config, "eval");
  data = read_here<DataOptions>(config, "data");
}

ConfiguredNetwork::ConfiguredNetwork(Config c, const Registry& registry) : ConfiguredNetwork(std::move(c)) {
  build(registry, Unread::kPassedOver);
  config.check();
}

void ConfiguredNetwork::build(const Registry& registry, Unread unread) {
  try {
    network_ = std::make_unique<Network>(config, registry);
  } catch (const Error&) {
    if (unread == Unread::kPassedOver) pass_over_unread(config);
    config.check();  // adds the unknown sections and keys to what the network found
    throw;
  }
  if (unread == Unread::kPassedOver) pass_over_unread(config);
  const auto is_loss = [](const Node& node) { return node.declared.is_loss; };
  if (std::none_of(network_->nodes().begin(), network_->nodes().end(), is_loss)) {
    config.section("network").report(config.diagnostics(), "",
                                     "no layer computes a loss; add one, such as [layer.loss] with "
                                     "type = softmax_cross_entropy and from = LOGITS, labels");
  }
}

std::string ConfiguredNetwork::where(const std::string& section, const std::string& key) const {
  const Section* found = config.find(section);
  return found != nullptr ? found->where(key) : concat("[", section, "] ", key);
}

ExecutorOptions ConfiguredNetwork::executor_options(Mode mode, std::int64_t batch) const {
  ExecutorOptions options;
  options.mode = mode;
  options.batch = batch;
  options.type = activation_type(run.precision);
  options.int8 = run.precision == Precision::kInt8;
  using Layout = ExecutorOptions::LayoutChoice;
  if (run.layout == Layout::kBlocked) require_blocks();
  options.layout = run.layout;
  // oneDNN multiplies int8 fast in this layout.
  if (options.int8 && run.layout == Layout::kAuto) options.layout = Layout::kNhwc;
  options.winograd = run.winograd;
  options.skip = run.skip;
  options.seed = static_cast<std::uint64_t>(run.seed);
  return options;
}

std::string ConfiguredNetwork::configure_threads() const {
  const int wanted = run.threads > 0 ? static_cast<int>(run.threads) : available_threads();
  const GrantedThreads granted = set_threads(wanted);
  if (granted.limit == nullptr) return "";
  return concat(where("run", "threads"), ": computes with ", granted.count, " instead of ", wanted,
                " threads: ", granted.limit);
}

}  // namespace sluice
