#include "core/model/network_checkpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/checkpoint/stored_checkpoint.hpp"

namespace sluice {
namespace {

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

template <class Place, class Float>
std::vector<Place> parameters_in(Float* arena, const Network& network) {
  std::vector<Place> places;
  for (const Parameter& p : network.parameters()) {
    for (const std::string& user : p.users) places.push_back({concat(user, "/", p.name), p.shape, arena + p.offset});
  }
  return places;
}

template <class Place, class Float>
std::vector<Place> buffers_in(Float* arena, const Network& network) {
  std::vector<Place> places;
  for (const StateBuffer& b : network.buffers()) places.push_back({b.path(), b.shape, arena + b.offset});
  return places;
}

}  // namespace

std::vector<TensorSlot> parameter_slots(const Network& network, float* arena) {
  return parameters_in<TensorSlot>(arena, network);
}
std::vector<TensorSlot> buffer_slots(const Network& network, float* arena) {
  return buffers_in<TensorSlot>(arena, network);
}
std::vector<TensorView> parameter_views(const Network& network, const float* arena) {
  return parameters_in<TensorView>(arena, network);
}
std::vector<TensorView> buffer_views(const Network& network, const float* arena) {
  return buffers_in<TensorView>(arena, network);
}

void add_tensors(Checkpoint& checkpoint, const std::string& prefix, const std::vector<TensorView>& tensors) {
  std::map<const float*, std::string> written;
  for (const TensorView& view : tensors) {
    CheckpointTensor tensor{prefix + "/" + view.path, view.shape, {}, {}};
    const auto [first, is_new] = written.emplace(view.data, tensor.path);
    if (is_new) {
      tensor.values.assign(view.data, view.data + view.shape.count());
    } else {
      tensor.alias_of = first->second;
    }
    checkpoint.tensors.push_back(std::move(tensor));
  }
}

bool has_tensors(const Checkpoint& checkpoint, const std::string& prefix) {
  return std::any_of(checkpoint.tensors.begin(), checkpoint.tensors.end(),
                     [&](const CheckpointTensor& t) { return t.path.rfind(concat(prefix, "/"), 0) == 0; });
}

bool has_average(const Checkpoint& checkpoint) {
  return has_tensors(checkpoint, concat(kAverage, "/weights"));
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

void describe_network(Checkpoint& checkpoint, const ConfiguredNetwork& configured, const Normalization& normalization,
                      const std::vector<std::string>& class_names) {
  checkpoint.config = configured.config.resolved();
  checkpoint.mean = normalization.mean;
  checkpoint.std = normalization.std;
  checkpoint.class_names = class_names;
  for (const Node& node : configured.network().nodes()) {
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

Checkpoint untrained_checkpoint(const ConfiguredNetwork& configured, const Normalization& normalization) {
  Checkpoint checkpoint;
  checkpoint.kind = Checkpoint::Kind::kWeightsOnly;
  describe_network(checkpoint, configured, normalization, configured.data.class_names);
  add_tensors(checkpoint, "weights", parameter_views(configured.network(), configured.network().parameter_data()));
  add_tensors(checkpoint, "buffers", buffer_views(configured.network(), configured.network().buffer_data()));
  checkpoint.state = {{"epoch", std::int64_t{0}}, {"step", std::int64_t{0}}};
  return checkpoint;
}

std::optional<Normalization> stored_normalization(const std::string& file, const Normalization& stored,
                                                  std::int64_t channels) {
  const std::vector<double>&mean = stored.mean, &std = stored.std;
  const auto refuse = [&](const char* why) { throw Error(ExitCode::kCheckpoint, concat(file, ": ", why)); };
  if (mean.empty()) return std::nullopt;
  const auto count = static_cast<std::size_t>(channels);
  if (mean.size() != count || std.size() != count)
    refuse("/normalisation: has not one mean and one std for each channel of an image; set data.mean and data.std");
  for (std::size_t c = 0; c < count; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0)
      refuse("/normalisation: expected finite numbers, std above 0; set data.mean and data.std");
  }
  return stored;
}

namespace {

/// `source`: the checkpoint, or where it is stored.
template <class Source>
RestoreReport restore_from(Source& source, const Checkpoint& document, Network& network, bool strict) {
  const std::string prefix = has_average(document) ? concat(kAverage, "/") : std::string();
  RestoreReport report =
      restore(source, parameter_slots(network, network.parameter_data()), prefix + "weights", strict);
  const RestoreReport buffers =
      restore(source, buffer_slots(network, network.buffer_data()), prefix + "buffers", strict);
  report.missing.insert(report.missing.end(), buffers.missing.begin(), buffers.missing.end());
  report.extra.insert(report.extra.end(), buffers.extra.begin(), buffers.extra.end());
  report.restored.insert(report.restored.end(), buffers.restored.begin(), buffers.restored.end());
  if (strict) network.set_calibration({document.ranges});
  return report;
}

}  // namespace

RestoreReport restore_weights(const Checkpoint& checkpoint, Network& network, bool strict) {
  return restore_from(checkpoint, checkpoint, network, strict);
}

RestoreReport restore_weights(StoredCheckpoint& stored, Network& network) {
  return restore_from(stored, stored.document(), network, true);
}

}  // namespace sluice
