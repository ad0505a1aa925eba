// Layers whose work depends on their images: the tensors by which they decide, what was open when it was last counted,
// and what that saves.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/config/text.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/open_products.hpp"

namespace sluice::detail {
namespace {

/// The layer of a tensor `name`: `prefix`conv1/name in a checkpoint, or "before/conv1.name" in files of other programs;
/// "" for others.
std::string layer_of(const std::string& name, const std::string& path, const std::string& prefix, bool checkpoint) {
  if (path.size() <= name.size() || !ends_with(path, name)) return "";
  const std::size_t end = path.size() - name.size() - 1;
  if (path[end] != '/' && (checkpoint || path[end] != '.')) return "";
  if (!checkpoint) return path.substr(0, end);
  if (!starts_with(path, prefix) || end < prefix.size()) return "";
  return path.substr(prefix.size(), end - prefix.size());
}

/// Adds the statistics of the tensors `name` by layer, those that evaluations use: the averages where there are any.
void add_deciding(const InspectedFile& file, const std::string& name, std::map<std::string, Json>& layers,
                  std::vector<std::string>& order) {
  const std::vector<TreeDataSet> tensors = select_tensors(file, "");
  const std::string kAveraged = "ema/weights/";
  const bool averaged = file.checkpoint && std::any_of(tensors.begin(), tensors.end(), [&](const TreeDataSet& tensor) {
                          return tensor.path.rfind(kAveraged, 0) == 0;
                        });
  for (const TreeDataSet& tensor : tensors) {
    const std::string layer =
        layer_of(name, tensor.path, averaged ? kAveraged : "weights/", file.checkpoint.has_value());
    if (layer.empty() || !tensor.info.type.is_number()) continue;
    const TensorStats stats = tensor_stats(file.file.data_set(tensor.path));
    if (layers.count(layer) == 0) order.push_back(layer);
    layers[layer][name] = {{"min", stats.min}, {"mean", stats.mean}, {"max", stats.max}};
  }
}

struct Counts {
  std::int64_t open = 0, total = 0;
};

std::int64_t count_of(const StatisticTable& table, const std::string& layer, const std::string& name) {
  const auto values = table.find(layer);
  if (values == table.end()) return 0;
  const auto value = values->second.find(name);
  const bool whole = value != values->second.end() && std::holds_alternative<std::int64_t>(value->second);
  return whole ? std::get<std::int64_t>(value->second) : 0;
}

Counts counts_of_term(const StatisticTable& table, const std::string& layer, const CheckpointCost& term) {
  if (term.open.empty()) return {};
  return {count_of(table, layer, term.open), count_of(table, layer, term.total)};
}

/// A layer's cost with the shares that `table` counted, as evaluations compute it.
Cost cost_of(const StatisticTable& table, const std::string& layer, const std::vector<CheckpointCost>& terms) {
  Cost cost;
  for (const CheckpointCost& term : terms) {
    const Counts counts = counts_of_term(table, layer, term);
    const double share = counts.total == 0 ? 1.0 : static_cast<double>(counts.open) / static_cast<double>(counts.total);
    CostTerm declared{term.macs, static_cast<int>(term.weight_bits), static_cast<int>(term.activation_bits)};
    declared.refines = term.refines;
    add_term(cost, declared, share);
  }
  return cost;
}

/// What the layer decides about its conditional terms, each pair of counts once; nothing of what its neighbours do.
Counts deciding_counts(const StatisticTable& table, const std::string& layer,
                       const std::vector<CheckpointCost>& terms) {
  std::set<std::pair<std::string, std::string>> pairs;
  Counts sum;
  for (const CheckpointCost& term : terms) {
    if (term.open.empty() || term.open == kOpenProducts || !pairs.emplace(term.open, term.total).second) continue;
    const Counts counts = counts_of_term(table, layer, term);
    sum.open += counts.open;
    sum.total += counts.total;
  }
  return sum;
}

bool is_conditional(const std::vector<CheckpointCost>& terms) {
  return std::any_of(terms.begin(), terms.end(), [](const CheckpointCost& term) { return !term.open.empty(); });
}

void add_density(Json& json, const Counts& counts) {
  json["density"] =
      counts.total == 0 ? Json(nullptr) : Json(static_cast<double>(counts.open) / static_cast<double>(counts.total));
}

void add_cost(Json& json, const Cost& cost) {
  json["macs_dense"] = cost.macs_dense;
  json["macs_executed"] = cost.macs_executed;
  json["macs_saved"] = cost.macs_dense - cost.macs_executed;
  json["flop_reduction"] = cost.flop_reduction();
  json["bit_operations_dense"] = cost.bit_operations_dense;
  json["bit_operations_executed"] = cost.bit_operations_executed;
  json["average_bits"] = cost.average_bits();
}

Json statistics_json(const StatisticTable& table, const std::string& layer) {
  Json json = Json::object();
  const auto found = table.find(layer);
  if (found == table.end()) return json;
  for (const auto& [name, value] : found->second)
    json[name] = std::visit([](const auto& held) { return Json(held); }, value);
  return json;
}

/// The counts of the last evaluation, else those of the training epoch, else none.
std::pair<const StatisticTable*, Json> newest_counts(const Checkpoint& checkpoint) {
  const auto counted = [&](const StatisticTable& table) {
    return std::any_of(checkpoint.costs.begin(), checkpoint.costs.end(),
                       [&](const auto& layer) { return deciding_counts(table, layer.first, layer.second).total > 0; });
  };
  if (counted(checkpoint.evaluation)) return {&checkpoint.evaluation, "evaluation"};
  if (counted(checkpoint.statistics)) return {&checkpoint.statistics, "training"};
  return {&checkpoint.evaluation, nullptr};
}

/// The set of the last evaluation: "validation", "test"; null where the history does not tell.
Json evaluated_split(const Checkpoint& checkpoint) {
  if (checkpoint.kind == Checkpoint::Kind::kDeployable) return "test";  // sluice-deploy's
  for (const auto& [prefix, split] : {std::pair{"val_", "validation"}, {"test_", "test"}}) {
    const auto of_it = [prefix = prefix](const std::string& column) { return column.rfind(prefix, 0) == 0; };
    const std::vector<std::string>& columns = checkpoint.history.columns;
    if (std::any_of(columns.begin(), columns.end(), of_it)) return split;
  }
  return nullptr;
}

/// Images over which a table counted; null where no layer counted them.
Json counted_images(const StatisticTable& table) {
  std::int64_t images = 0;
  for (const auto& layer : table) images = std::max(images, count_of(table, layer.first, "images"));
  return images > 0 ? Json(images) : Json(nullptr);
}

void add_checkpoint_figures(const Checkpoint& checkpoint, Json& json, std::map<std::string, Json>& layers) {
  const auto [table, source] = newest_counts(checkpoint);
  Counts all;
  Cost network;
  for (auto& [name, layer] : layers) {
    const auto costs = checkpoint.costs.find(name);
    if (costs != checkpoint.costs.end()) {
      add_density(layer, deciding_counts(*table, name, costs->second));
      add_cost(layer, cost_of(*table, name, costs->second));
    }
    layer["statistics"] = statistics_json(checkpoint.statistics, name);
    layer["evaluation"] = statistics_json(checkpoint.evaluation, name);
  }
  for (const auto& [name, terms] : checkpoint.costs) {
    const Counts counts = deciding_counts(*table, name, terms);
    all.open += counts.open;
    all.total += counts.total;
    network = total({network, cost_of(*table, name, terms)});
  }
  if (checkpoint.costs.empty()) return;
  json["totals"]["counted_in"] = source;
  json["totals"]["split"] = source == "evaluation" ? evaluated_split(checkpoint)
                            : source == "training" ? Json("training")
                                                   : Json(nullptr);
  json["totals"]["images"] = source.is_null() ? Json(nullptr) : counted_images(*table);
  add_density(json["totals"], all);
  add_cost(json["totals"], network);
}

}  // namespace

Json decisions_json(const InspectedFile& file, const InspectOptions& options) {
  const std::string& filter = options.filter;
  std::vector<std::string> order;
  std::map<std::string, Json> layers;
  for (const std::string& name : options.deciding) add_deciding(file, name, layers, order);
  if (file.checkpoint) {
    for (const auto& [layer, terms] : file.checkpoint->costs) {
      if (is_conditional(terms) && layers.emplace(layer, Json::object()).second) order.push_back(layer);
    }
    std::map<std::string, std::size_t> position;
    for (const std::string& name : file.checkpoint->layer_names) position.emplace(name, position.size());
    const auto rank = [&](const std::string& layer) {
      const auto found = position.find(layer);
      return found == position.end() ? position.size() : found->second;
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  }
  Json json{{"layers", Json::array()},
            {"totals", Json::object()},
            {"deciding", options.deciding},
            {"filtered", !filter.empty()}};
  if (file.checkpoint) add_checkpoint_figures(*file.checkpoint, json, layers);
  for (const std::string& name : order) {
    if (!matches(name, filter)) continue;
    Json layer{{"layer", name}};
    layer.update(layers[name]);
    json["layers"].push_back(std::move(layer));
  }
  return json;
}

}  // namespace sluice::detail
