#include "core/train/training_checkpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/version.hpp"
#include "core/config/text.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/graph/onednn.hpp"
#include "core/plugin/load.hpp"
#include "core/train/training_state.hpp"

namespace sluice {
namespace {

constexpr const char* kEma = "ema";

void append(Checkpoint& checkpoint, const std::string& prefix, const std::vector<TensorSlot>& slots) {
  std::map<const float*, std::string> written;
  for (const TensorSlot& slot : slots) {
    CheckpointTensor tensor{prefix + "/" + slot.path, slot.shape, {}, {}};
    const auto [first, is_new] = written.emplace(slot.data, tensor.path);
    if (is_new) {
      tensor.values.assign(slot.data, slot.data + slot.shape.count());
    } else {
      tensor.alias_of = first->second;
    }
    checkpoint.tensors.push_back(std::move(tensor));
  }
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

CheckpointCost stored_cost(const CostTerm& term, const std::vector<Statistic>& counts) {
  const auto name = [&](int index) { return index < 0 ? std::string() : counts[static_cast<std::size_t>(index)].name; };
  return {term.macs, term.weight_bits, term.activation_bits, term.refines, name(term.open), name(term.total)};
}

/// What every checkpoint of a network holds besides tensors.
void describe_network(Checkpoint& checkpoint, const Experiment& experiment, const Normalization& normalization,
                      const std::vector<std::string>& class_names) {
  checkpoint.config = experiment.config.resolved();
  checkpoint.mean = normalization.mean;
  checkpoint.std = normalization.std;
  checkpoint.class_names = class_names;
  for (const Node& node : experiment.network->nodes()) {
    checkpoint.layer_names.push_back(node.name);
    for (const CostTerm& term : node.declared.costs)
      checkpoint.costs[node.name].push_back(stored_cost(term, node.declared.counts));
  }
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  checkpoint.run["host"] = host;
  checkpoint.run["written"] = timestamp();
  checkpoint.run["cpu"] = cpu_description();
}

void describe_run(Checkpoint& checkpoint, const TrainingParts& parts) {
  describe_network(checkpoint, parts.experiment, parts.normalization, parts.class_names);
  checkpoint.data = parts.data;
  checkpoint.history = parts.history;
  checkpoint.state["epoch"] = parts.position.epoch;
  checkpoint.state["step"] = parts.position.step;
}

/// What must be equal for a resumed run to repeat the same bits.
std::map<std::string, StateValue> numerics(const Experiment& experiment) {
  return {{"sluice", sluice_version()},
          {"compiler", compiler_version()},
          {"threads", std::int64_t{num_threads()}},
          {"instruction_set", to_string(cpu_isa())},
          {"onednn", onednn::version()},
          {"precision", std::string(to_string(activation_type(experiment.run.precision)))}};
}

std::string text_of(const StateValue& value) {
  return std::visit([](const auto& v) { return concat(v); }, value);
}

/// Statistics that the checkpoint lacks start at zero.
void restore_statistics(const Checkpoint& checkpoint, TrainingParts& parts) {
  parts.executor.reset_statistics();
  for (std::size_t i = 0; i < parts.network.nodes().size(); ++i) {
    const Node& node = parts.network.nodes()[i];
    const auto layer = checkpoint.statistics.find(node.name);
    if (layer == checkpoint.statistics.end()) continue;
    const auto restore_one = [&](const std::string& name, auto& into) {
      using T = std::decay_t<decltype(into)>;
      const auto value = layer->second.find(name);
      if (value != layer->second.end() && std::holds_alternative<T>(value->second)) into = std::get<T>(value->second);
    };
    for (std::size_t k = 0; k < node.declared.counts.size(); ++k)
      restore_one(node.declared.counts[k].name, parts.executor.counts(static_cast<int>(i))[k]);
    for (std::size_t k = 0; k < node.declared.sums.size(); ++k)
      restore_one(node.declared.sums[k].name, parts.executor.sums(static_cast<int>(i))[k]);
  }
}

bool has_tensors(const Checkpoint& checkpoint, const std::string& prefix) {
  return std::any_of(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                     [&](const CheckpointTensor& t) { return t.path.rfind(concat(prefix, "/"), 0) == 0; });
}

bool has_average(const Checkpoint& checkpoint) {
  return has_tensors(checkpoint, concat(kEma, "/weights"));
}

/// Of sgd without momentum nothing is kept.
void restore_optimizer(const Checkpoint& checkpoint, TrainingParts& parts, std::vector<std::string>& warnings) {
  std::vector<std::string> names;
  bool any = false;
  for (const Optimizer::State& state : parts.optimizer.states()) {
    names.push_back(state.name);
    any = any || has_tensors(checkpoint, concat("optimizer/", state.name));
  }
  if (!any && !names.empty()) {
    warnings.push_back(
        concat("the optimiser's memory (", join(names, ", "), ") is not in ", checkpoint.file, ": it starts at zero"));
    return;
  }
  for (const Optimizer::State& state : parts.optimizer.states()) {
    restore(checkpoint, parameter_slots(parts.network, state.data), concat("optimizer/", state.name));
  }
  parts.optimizer.set_steps(state_value<std::int64_t>(checkpoint, "optimizer_steps"));
}

void restore_average(const Checkpoint& checkpoint, TrainingParts& parts, std::vector<std::string>& warnings) {
  if (parts.ema == nullptr) {
    if (has_average(checkpoint)) warnings.push_back("the average of the weights is dropped: ema.decay is 0");
    return;
  }
  if (!has_average(checkpoint)) {
    parts.ema->start_from(parts.network.parameter_data(), parts.network.buffer_data());
    warnings.push_back(concat("no average of the weights is in ", checkpoint.file, ": it starts from the weights"));
    return;
  }
  const auto states = parts.ema->states();
  restore(checkpoint, parameter_slots(parts.network, states[0].data), concat(kEma, "/weights"));
  restore(checkpoint, buffer_slots(parts.network, states[1].data), concat(kEma, "/buffers"));
  parts.ema->set_updates(state_value<std::int64_t>(checkpoint, "ema_updates"));
}

}  // namespace

std::vector<TensorSlot> parameter_slots(const Network& network, float* arena) {
  std::vector<TensorSlot> slots;
  for (const Parameter& p : network.parameters()) {
    for (const std::string& user : p.users) slots.push_back({concat(user, "/", p.name), p.shape, arena + p.offset});
  }
  return slots;
}

std::vector<TensorSlot> buffer_slots(const Network& network, float* arena) {
  std::vector<TensorSlot> slots;
  for (const StateBuffer& b : network.buffers()) slots.push_back({b.path(), b.shape, arena + b.offset});
  return slots;
}

StatisticTable statistic_table(const Network& network, const std::vector<std::vector<std::int64_t>>& counts,
                               const std::vector<std::vector<double>>& sums) {
  StatisticTable table;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (node.declared.counts.empty() && node.declared.sums.empty()) continue;
    std::map<std::string, StatisticValue>& values = table[node.name];
    for (std::size_t k = 0; k < counts[i].size(); ++k) values[node.declared.counts[k].name] = counts[i][k];
    for (std::size_t k = 0; k < sums[i].size(); ++k) values[node.declared.sums[k].name] = sums[i][k];
  }
  return table;
}

Checkpoint make_checkpoint(const TrainingParts& parts) {
  Checkpoint checkpoint;
  describe_run(checkpoint, parts);
  append(checkpoint, "weights", parameter_slots(parts.network, parts.network.parameter_data()));
  append(checkpoint, "buffers", buffer_slots(parts.network, parts.network.buffer_data()));
  for (const Optimizer::State& state : parts.optimizer.states()) {
    append(checkpoint, concat("optimizer/", state.name), parameter_slots(parts.network, state.data));
  }
  checkpoint.state["optimizer_steps"] = parts.optimizer.steps();
  if (parts.ema != nullptr) {
    const auto states = parts.ema->states();
    append(checkpoint, concat(kEma, "/weights"), parameter_slots(parts.network, states[0].data));
    append(checkpoint, concat(kEma, "/buffers"), buffer_slots(parts.network, states[1].data));
    checkpoint.state["ema_updates"] = parts.ema->updates();
  }
  for (const auto& [key, value] : numerics(parts.experiment)) checkpoint.state[key] = value;
  save_position(checkpoint, parts.position);
  if (parts.teachers != nullptr) {
    checkpoint.state["teacher"] = parts.teachers->digest();
    checkpoint.state["divergence_sum"] = parts.position.divergence_sum;
  }
  save_early_stopping(checkpoint, parts.early_stopping);
  const Statistics& statistics = parts.executor.statistics();
  checkpoint.statistics = statistic_table(parts.network, statistics.counts_by_node(), statistics.sums_by_node());
  checkpoint.evaluation = parts.evaluation;
  return checkpoint;
}

Checkpoint weights_of(Checkpoint full) {
  Checkpoint weights = std::move(full);
  const bool averaged = has_average(weights);
  std::vector<CheckpointTensor> kept;
  for (CheckpointTensor& tensor : weights.tensors) {
    const std::size_t prefix = averaged ? std::string(kEma).size() + 1 : 0;
    if (averaged && tensor.path.rfind(concat(kEma, "/"), 0) != 0) continue;
    if (!averaged && tensor.path.rfind("optimizer/", 0) == 0) continue;
    tensor.path.erase(0, prefix);
    if (!tensor.alias_of.empty()) tensor.alias_of.erase(0, prefix);
    kept.push_back(std::move(tensor));
  }
  weights.tensors = std::move(kept);
  weights.kind = Checkpoint::Kind::kWeightsOnly;
  const StateValue epoch = weights.counter("epoch"), step = weights.counter("step");
  weights.state = {{"epoch", epoch}, {"step", step}};
  return weights;
}

std::optional<Normalization> stored_normalization(const Checkpoint& checkpoint, std::int64_t channels) {
  const std::vector<double>&mean = checkpoint.mean, &std = checkpoint.std;
  const auto refuse = [&](const char* why) { throw Error(ExitCode::kCheckpoint, concat(checkpoint.file, ": ", why)); };
  if (mean.empty()) return std::nullopt;
  const auto count = static_cast<std::size_t>(channels);
  if (mean.size() != count || std.size() != count)
    refuse("/normalisation: has not one mean and one std for each channel of an image; set data.mean and data.std");
  for (std::size_t c = 0; c < count; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0)
      refuse("/normalisation: expected finite numbers, std above 0; set data.mean and data.std");
  }
  return Normalization{mean, std};
}

Checkpoint untrained_checkpoint(const Experiment& experiment, const Normalization& normalization) {
  Checkpoint checkpoint;
  checkpoint.kind = Checkpoint::Kind::kWeightsOnly;
  describe_network(checkpoint, experiment, normalization, experiment.data.class_names);
  append(checkpoint, "weights", parameter_slots(*experiment.network, experiment.network->parameter_data()));
  append(checkpoint, "buffers", buffer_slots(*experiment.network, experiment.network->buffer_data()));
  checkpoint.state = {{"epoch", std::int64_t{0}}, {"step", std::int64_t{0}}};
  return checkpoint;
}

Experiment trained_experiment(const Checkpoint& checkpoint, const Registry& registry,
                              const std::vector<std::string>& overrides) {
  Config config = Config::stored(checkpoint.config, checkpoint.file, overrides);
  forget_of_machine(config);
  const std::vector<std::string> plugins = config.read<PluginOptions>("plugins").load;
  try {
    return Experiment(std::move(config), registry);
  } catch (const Error& error) {
    if (plugins.empty()) throw;
    const std::string text = error.what();
    throw Error(error.code(),
                concat(text.substr(0, text.find('\n')), "; the network was made with plug-ins (", plugins.front(),
                       plugins.size() > 1 ? ", ..." : "", "): load them first (plugins.load)"));
  }
}

void restore_progress(const Checkpoint& checkpoint, TrainingParts& parts) {
  if (checkpoint.kind != Checkpoint::Kind::kFull) {
    throw Error(ExitCode::kCheckpoint,
                concat(checkpoint.file, ": is a ", to_string(checkpoint.kind),
                       " checkpoint without the optimiser's state; training resumes only from a full one"));
  }
  restore_position(checkpoint, parts.position);
  restore_early_stopping(checkpoint, parts.early_stopping);
}

std::optional<std::string> teachers_of(const Checkpoint& checkpoint) {
  if (checkpoint.state.count("teacher") == 0) return std::nullopt;
  return state_value<std::string>(checkpoint, "teacher");
}

std::vector<std::string> restore_training(const Checkpoint& checkpoint, TrainingParts& parts) {
  std::vector<std::string> warnings;
  restore(checkpoint, parameter_slots(parts.network, parts.network.parameter_data()), "weights");
  restore(checkpoint, buffer_slots(parts.network, parts.network.buffer_data()), "buffers");
  restore_optimizer(checkpoint, parts, warnings);
  restore_average(checkpoint, parts, warnings);
  restore_statistics(checkpoint, parts);
  parts.history = checkpoint.history;
  parts.evaluation = checkpoint.evaluation;
  for (const auto& [key, value] : numerics(parts.experiment)) {
    const auto before = checkpoint.state.find(key);
    if (before == checkpoint.state.end() || text_of(before->second) == text_of(value)) continue;
    warnings.push_back(concat(key, " was ", text_of(before->second), ", is ", text_of(value),
                              ": results may differ in the last bits"));
  }
  return warnings;
}

RestoreReport restore_weights(const Checkpoint& checkpoint, Network& network, bool strict) {
  const std::string prefix = has_average(checkpoint) ? concat(kEma, "/") : std::string();
  RestoreReport report =
      restore(checkpoint, parameter_slots(network, network.parameter_data()), prefix + "weights", strict);
  const RestoreReport buffers =
      restore(checkpoint, buffer_slots(network, network.buffer_data()), prefix + "buffers", strict);
  report.missing.insert(report.missing.end(), buffers.missing.begin(), buffers.missing.end());
  report.extra.insert(report.extra.end(), buffers.extra.begin(), buffers.extra.end());
  report.restored.insert(report.restored.end(), buffers.restored.begin(), buffers.restored.end());
  if (strict) network.set_source_ranges(checkpoint.ranges);
  return report;
}

}  // namespace sluice
