// Compares two files tensor by tensor, and the rest of two checkpoints.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/checkpoint/inspect_model.hpp"

namespace sluice::detail {
namespace {

struct Comparison {
  std::int64_t differing = 0;
  double max_abs = 0, max_rel = 0, dot = 0, norm_a = 0, norm_b = 0;

  void add(double a, double b) {
    if (a == b || (std::isnan(a) && std::isnan(b))) {
      if (!std::isfinite(a)) return;
    } else {
      ++differing;
      const double abs = std::abs(a - b);
      // A NaN or Inf on one side is the largest difference there can be, and stays visible.
      const bool finite = std::isfinite(abs);
      max_abs = finite ? std::max(max_abs, abs) : INFINITY;
      max_rel = finite ? std::max(max_rel, abs / std::max(std::abs(a), std::abs(b))) : INFINITY;
      if (!finite) return;
    }
    dot += a * b;
    norm_a += a * a;
    norm_b += b * b;
  }
};

Json difference_json(double value) {
  return std::isinf(value) ? Json("inf") : Json(value);
}

Json compare_texts(const Hdf5DataSet& a, const Hdf5DataSet& b, Json json) {
  const bool equal = a.read_text() == b.read_text();
  json["equal"] = equal;
  if (!equal) json["problem"] = "the texts differ";
  return json;
}

Json compare_tensors(const Hdf5DataSet& a, const Hdf5DataSet& b, const std::string& path) {
  Json json{{"path", path}, {"shape", a.shape().dims()}, {"equal", false}};
  const std::string type_a = to_string(a.info().type), type_b = to_string(b.info().type);
  if (a.shape() != b.shape() || type_a != type_b) {
    json["problem"] = concat(type_a, " ", to_string(a.shape()), " against ", type_b, " ", to_string(b.shape()));
    return json;
  }
  if (a.info().type.kind == ElementType::Kind::kText) return compare_texts(a, b, json);
  if (!a.info().type.is_number()) {
    json["problem"] = "holds neither numbers nor text: cannot be compared";
    return json;
  }
  Comparison comparison;
  for_each_block(a, b, [&](const double* values_a, const double* values_b, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) comparison.add(values_a[i], values_b[i]);
  });
  json["equal"] = comparison.differing == 0;
  json["differing"] = comparison.differing;
  json["max_abs"] = difference_json(comparison.max_abs);
  json["max_rel"] = difference_json(comparison.max_rel);
  const double norms = std::sqrt(comparison.norm_a) * std::sqrt(comparison.norm_b);
  json["cosine"] = norms > 0 ? Json(comparison.dot / norms) : Json(nullptr);
  return json;
}

std::string shown(const StateValue& value) {
  return std::visit([](const auto& held) { return json_text(Json(held), -1); }, value);
}
std::string shown(double value) {
  return json_text(Json(value), -1);
}
std::string shown(const StatisticValue& value) {
  return std::visit([](const auto& held) { return json_text(Json(held), -1); }, value);
}

std::string shown(const std::vector<CheckpointCost>& terms) {
  std::string text;
  for (const CheckpointCost& term : terms) {
    text +=
        concat(text.empty() ? "" : " + ", term.macs, " x ", term.weight_bits, " x ", term.activation_bits, " bits",
               term.refines ? " of the same" : "", term.open.empty() ? "" : " for " + term.open + " of " + term.total);
  }
  return text;
}

template <class Map>
void compare_maps(const std::string& title, const Map& a, const Map& b, Json& out) {
  Map all = a;
  all.insert(b.begin(), b.end());
  for (const auto& entry : all) {
    const auto in_a = a.find(entry.first), in_b = b.find(entry.first);
    const std::string text_a = in_a == a.end() ? "absent" : shown(in_a->second);
    const std::string text_b = in_b == b.end() ? "absent" : shown(in_b->second);
    if (text_a != text_b) out.push_back(concat(title, entry.first, ": ", text_a, " against ", text_b));
  }
}

bool same_rows(const HistoryTable& a, const HistoryTable& b) {
  if (a.columns != b.columns || a.rows.size() != b.rows.size()) return false;
  for (std::size_t i = 0; i < a.rows.size(); ++i) {
    // Bits, because missing values are NaN.
    if (std::memcmp(a.rows[i].data(), b.rows[i].data(), a.rows[i].size() * sizeof(double)) != 0) return false;
  }
  return true;
}

/// As short as tells them apart.
std::pair<std::string, std::string> shown_apart(double a, double b) {
  char text_a[32], text_b[32];
  std::snprintf(text_a, sizeof text_a, "%.6g", a);
  std::snprintf(text_b, sizeof text_b, "%.6g", b);
  if (std::strcmp(text_a, text_b) != 0 || a == b) return {text_a, text_b};
  return {shown(a), shown(b)};
}

using LayerStatistics = std::map<std::string, StatisticValue>;

/// Of a sum over the images that the layer has seen; nothing for what is none.
std::optional<double> mean_of(const LayerStatistics& values, const std::string& name) {
  const auto sum = values.find(name), images = values.find("images");
  if (sum == values.end() || images == values.end() || !std::holds_alternative<double>(sum->second)) return {};
  const auto* const count = std::get_if<std::int64_t>(&images->second);
  if (count == nullptr || *count == 0) return {};
  return std::get<double>(sum->second) / static_cast<double>(*count);
}

void compare_layers(const std::string& title, const LayerStatistics& a, const LayerStatistics& b, Json& out) {
  LayerStatistics rest_a = a, rest_b = b;
  for (const auto& entry : a) {
    const std::optional<double> mean_a = mean_of(a, entry.first), mean_b = mean_of(b, entry.first);
    if (!mean_a || !mean_b) continue;
    const auto [text_a, text_b] = shown_apart(*mean_a, *mean_b);
    if (*mean_a != *mean_b) out.push_back(concat(title, "mean ", entry.first, ": ", text_a, " against ", text_b));
    rest_a.erase(entry.first);
    rest_b.erase(entry.first);
  }
  compare_maps(title, rest_a, rest_b, out);
}

void compare_statistics(const std::string& title, const StatisticTable& a, const StatisticTable& b, Json& out) {
  StatisticTable layers = a;
  layers.insert(b.begin(), b.end());
  for (const auto& entry : layers) {
    const auto in_a = a.find(entry.first), in_b = b.find(entry.first);
    compare_layers(concat(title, ", layer ", entry.first, ": "), in_a == a.end() ? LayerStatistics{} : in_a->second,
                   in_b == b.end() ? LayerStatistics{} : in_b->second, out);
  }
}

/// Everything but tensors and /run.
Json compare_documents(const Checkpoint& a, const Checkpoint& b) {
  Json out = Json::array();
  if (a.kind != b.kind) out.push_back(concat("kind: ", to_string(a.kind), " against ", to_string(b.kind)));
  compare_maps("state ", a.state, b.state, out);
  if (!same_rows(a.history, b.history))
    out.push_back(concat("history differs: ", a.history.rows.size(), " rows of ", a.history.columns.size(),
                         " columns against ", b.history.rows.size(), " of ", b.history.columns.size()));
  if (a.config != b.config) out.push_back("the configurations differ");
  if (a.mean != b.mean || a.std != b.std) out.push_back("the normalisations differ");
  if (a.class_names != b.class_names) out.push_back("the class names differ");
  if (a.data.training != b.data.training || a.data.held_out != b.data.held_out || a.data.test != b.data.test)
    out.push_back("the data sets differ");
  if (a.layer_names != b.layer_names) out.push_back("the layer names differ");
  compare_statistics("training epoch", a.statistics, b.statistics, out);
  compare_statistics("last evaluation", a.evaluation, b.evaluation, out);
  compare_maps("cost ", a.costs, b.costs, out);
  compare_maps("plan ", a.kernels, b.kernels, out);
  compare_maps("range ", a.ranges, b.ranges, out);
  return out;
}

}  // namespace

Json diff_json(const InspectedFile& a, const InspectedFile& b, const std::string& filter) {
  Json json{{"a", a.path}, {"b", b.path}, {"equal", true}, {"differing", 0}, {"tensors", Json::array()}};
  json["only_in_a"] = json["only_in_b"] = json["other"] = Json::array();
  const std::vector<TreeDataSet> in_a = select_tensors(a, filter), in_b = select_tensors(b, filter);
  const auto has = [](const std::vector<TreeDataSet>& list, const std::string& path) {
    return std::any_of(list.begin(), list.end(), [&](const TreeDataSet& entry) { return entry.path == path; });
  };
  std::int64_t differing = 0;
  for (const TreeDataSet& tensor : in_a) {
    if (!has(in_b, tensor.path)) {
      json["only_in_a"].push_back(tensor.path);
      continue;
    }
    json["tensors"].push_back(compare_tensors(a.file.data_set(tensor.path), b.file.data_set(tensor.path), tensor.path));
    differing += !json["tensors"].back()["equal"].get<bool>();
  }
  for (const TreeDataSet& tensor : in_b) {
    if (!has(in_a, tensor.path)) json["only_in_b"].push_back(tensor.path);
  }
  // A filter asks about tensors only.
  if (filter.empty() && a.checkpoint && b.checkpoint) json["other"] = compare_documents(*a.checkpoint, *b.checkpoint);
  json["differing"] = differing;
  json["equal"] = differing == 0 && json["only_in_a"].empty() && json["only_in_b"].empty() && json["other"].empty();
  return json;
}

}  // namespace sluice::detail
