#include "core/train/training_checkpoint.hpp"

#include <algorithm>
#include <map>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/config/text.hpp"
#include "core/graph/onednn.hpp"
#include "core/graph/version.hpp"
#include "core/train/training_state.hpp"

namespace sluice {
namespace {

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

constexpr const char* kAuxiliaryPrefix = "auxiliary_";

/// Of an auxiliary loss, by its place in the network.
std::string memory_key(const std::string& name, std::size_t loss) {
  return concat(kAuxiliaryPrefix, name, "_", loss);
}

void save_memories(Checkpoint& checkpoint, const Network& network) {
  const auto& losses = network.auxiliary_losses();
  for (std::size_t i = 0; i < losses.size(); ++i) {
    for (const auto& [name, value] : losses[i].second->memory()) checkpoint.state[memory_key(name, i)] = value;
  }
}

/// Older files have none.
void restore_memories(const Checkpoint& checkpoint, const Network& network) {
  const std::string begin = kAuxiliaryPrefix;
  const auto& losses = network.auxiliary_losses();
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const std::string end = memory_key("", i).substr(begin.size());
    std::map<std::string, double> memory;
    for (const auto& [key, value] : checkpoint.state) {
      const std::size_t around = begin.size() + end.size();
      if (key.size() <= around || !starts_with(key, begin) || !ends_with(key, end)) continue;
      memory[key.substr(begin.size(), key.size() - around)] = state_value<double>(checkpoint, key);
    }
    losses[i].second->set_memory(memory);
  }
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
  restore(checkpoint, parameter_slots(parts.network, states[0].data), concat(kAverage, "/weights"));
  restore(checkpoint, buffer_slots(parts.network, states[1].data), concat(kAverage, "/buffers"));
  parts.ema->set_updates(state_value<std::int64_t>(checkpoint, "ema_updates"));
}

}  // namespace

Checkpoint make_checkpoint(const TrainingParts& parts) {
  Checkpoint checkpoint;
  describe_run(checkpoint, parts);
  add_tensors(checkpoint, "weights", parameter_views(parts.network, parts.network.parameter_data()));
  add_tensors(checkpoint, "buffers", buffer_views(parts.network, parts.network.buffer_data()));
  for (const Optimizer::State& state : parts.optimizer.states()) {
    add_tensors(checkpoint, concat("optimizer/", state.name), parameter_views(parts.network, state.data));
  }
  checkpoint.state["optimizer_steps"] = parts.optimizer.steps();
  if (parts.ema != nullptr) {
    const auto states = parts.ema->states();
    add_tensors(checkpoint, concat(kAverage, "/weights"), parameter_views(parts.network, states[0].data));
    add_tensors(checkpoint, concat(kAverage, "/buffers"), buffer_views(parts.network, states[1].data));
    checkpoint.state["ema_updates"] = parts.ema->updates();
  }
  for (const auto& [key, value] : numerics(parts.experiment)) checkpoint.state[key] = value;
  save_position(checkpoint, parts.position);
  if (parts.teachers != nullptr) {
    checkpoint.state["teacher"] = parts.teachers->digest();
    checkpoint.state["divergence_sum"] = parts.position.divergence_sum;
  }
  save_early_stopping(checkpoint, parts.early_stopping);
  save_memories(checkpoint, parts.network);
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
    const std::size_t prefix = averaged ? std::string(kAverage).size() + 1 : 0;
    if (averaged && tensor.path.rfind(concat(kAverage, "/"), 0) != 0) continue;
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
  restore_memories(checkpoint, parts.network);
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

}  // namespace sluice
