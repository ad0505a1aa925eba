#include "core/train/epoch_row.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/graph/decided_counts.hpp"
#include "core/train/conditional_layers.hpp"
#include "core/train/early_stopping.hpp"

namespace sluice {
namespace {

bool is_time(const std::string& column) {
  return column == "seconds" || column == "images_per_second" || column == "data_wait_percent";
}

double mean_of(const Network& network, const Parameter& parameter) {
  const float* const values = network.parameter_data() + parameter.offset;
  const std::int64_t count = parameter.shape.count();
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += values[i];
  return sum / static_cast<double>(count);
}

}  // namespace

double as_number(const MetricValue& value) {
  if (std::holds_alternative<double>(value)) return std::get<double>(value);
  if (std::holds_alternative<std::int64_t>(value)) return static_cast<double>(std::get<std::int64_t>(value));
  return std::nan("");
}

void append_figures(MetricsRow& row, const std::string& prefix, const Network& network, const CountsByNode& counts) {
  for (const DerivedMetric& metric : derive_metrics(network, counts))
    row.emplace_back(prefix + metric.type->name, metric.value);
  const Cost cost = total(layer_costs(network, counts));
  const bool conditional = has_conditional_cost(network);
  if (conditional || !prefix.empty()) row.emplace_back(prefix + "macs_executed", cost.macs_executed);
  if (conditional) row.emplace_back(prefix + "flop_reduction", cost.flop_reduction());
  if (has_narrow_activations(network)) row.emplace_back(prefix + "average_bits", cost.average_bits());
}

void append_layers(MetricsRow& row, const std::string& prefix, const Network& network, const CountsByNode& counts) {
  const std::vector<Cost> costs = layer_costs(network, counts);
  const std::set<std::string> groups = groups_of_conditional_layers(network);
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (!is_conditional(node)) continue;
    if (decides(node)) row.emplace_back(concat(prefix, "density/", node.name), density_of(node, counts[i]));
    row.emplace_back(concat(prefix, "macs_executed/", node.name), costs[i].macs_executed);
    for (const int p : node.params) {
      const Parameter& parameter = network.parameters()[static_cast<std::size_t>(p)];
      if (groups.count(parameter.group) > 0)
        row.emplace_back(concat(parameter.group, "/", node.name), mean_of(network, parameter));
    }
  }
}

std::vector<std::string> figure_columns(const std::string& prefix, const Network& network) {
  std::vector<std::string> columns;
  for (const MetricType* type : metrics_of(network)) columns.push_back(prefix + type->name);
  const bool conditional = has_conditional_cost(network);
  if (conditional || !prefix.empty()) columns.push_back(prefix + "macs_executed");
  if (conditional) columns.push_back(prefix + "flop_reduction");
  if (has_narrow_activations(network)) columns.push_back(prefix + "average_bits");
  return columns;
}

namespace {

/// "val_", "test_"; "" for figures of the training.
std::string evaluated_set(const std::string& column) {
  for (const char* set : {"val_", "test_"})
    if (starts_with(column, set)) return set;
  return "";
}

// Lines that change have little room on a terminal.

/// "val_dens" for val_gate_density, "loss" for train_loss, "acc" for train_accuracy.
std::string brief_name(const std::string& column) {
  constexpr std::size_t kWhole = 5, kKept = 4, kAccuracy = 5;
  if (is_accuracy(column)) {
    const std::string name = starts_with(column, "train_") ? column.substr(6) : column;
    return name.substr(0, name.size() - kAccuracy);
  }
  const std::string name = shown_name(column), word = name.substr(name.rfind('_') + 1);
  return evaluated_set(column) + (word.size() <= kWhole ? word : word.substr(0, kKept));
}

/// "45.7%" of an accuracy, "45%" of a density or cost, "1.23".
std::string brief_number(const std::string& column, double value) {
  if (is_accuracy(column)) return fixed(100 * value, 1) + "%";
  if (is_density(column)) return fixed(100 * value, 0) + "%";
  if (column == "images_per_second") return fixed(value, 0);
  return is_flop_reduction(column) ? fixed(100 / value, 0) + "%" : fixed(value, 2);
}

/// A value whose text is as long as the column's usually get.
double long_value(const std::string& column) {
  constexpr double kLoss = 9.99, kRate = 0.0001, kSpeed = 99999, kBits = 31.99;
  if (is_accuracy(column) || is_density(column) || is_flop_reduction(column)) return 1;
  if (ends_with(column, "loss") || ends_with(column, "cross_entropy")) return kLoss;
  if (column == "lr") return kRate;
  if (column == "seconds" || column == "images_per_second") return kSpeed;
  return ends_with(column, "average_bits") ? kBits : 0;
}

/// The network's cost is what it is trained for. (That in bits follows the densities.)
bool aims_at_cost(const Network& network) {
  return any_wants_counts(network) && has_conditional_cost(network) && !has_narrow_activations(network);
}

}  // namespace

void append_live_metrics(std::vector<LinePart>& line, const Network& network, const CountsByNode& counts) {
  int importance = 75;  // of the first; the others are spare
  std::vector<DerivedMetric> metrics = said_once(derive_metrics(network, counts));
  if (aims_at_cost(network)) {
    std::stable_partition(metrics.begin(), metrics.end(),
                          [](const DerivedMetric& metric) { return is_flop_reduction(metric.type->name); });
  }
  for (const DerivedMetric& metric : metrics) {
    const std::string& column = metric.type->name;
    const std::string unit = metric.type->unit.empty() ? "" : " " + metric.type->unit;
    const auto whole = [&](double value) { return concat(shown_name(column), " ", shown_text(column, value), unit); };
    const auto brief = [&](double value) { return concat(brief_name(column), " ", brief_number(column, value), unit); };
    const double longest = long_value(column);
    line.push_back(
        {whole(metric.value), brief(metric.value), importance, whole(longest).size(), brief(longest).size()});
    importance = LinePart::kSpare - 10;
  }
}

void append_row(HistoryTable& table, const MetricsRow& row) {
  std::vector<double> values(table.columns.size(), std::nan(""));
  for (const auto& [name, value] : row) {
    if (is_time(name)) continue;
    const auto found = std::find(table.columns.begin(), table.columns.end(), name);
    if (found != table.columns.end()) {
      values[static_cast<std::size_t>(found - table.columns.begin())] = as_number(value);
      continue;
    }
    table.columns.push_back(name);
    values.push_back(as_number(value));
    for (std::vector<double>& older : table.rows) older.push_back(std::nan(""));
  }
  table.rows.push_back(std::move(values));
}

namespace {

std::optional<std::size_t> index_of(const HistoryTable& table, const std::string& column) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), column);
  if (found == table.columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - table.columns.begin());
}

}  // namespace

std::optional<double> last_value(const HistoryTable& table, const std::string& column) {
  const std::optional<std::size_t> index = index_of(table, column);
  return table.rows.empty() || !index ? std::nullopt : std::optional(table.rows.back()[*index]);
}

std::optional<double> value_at(const HistoryTable& table, double epoch, const std::string& column) {
  const std::optional<std::size_t> index = index_of(table, column), of_epoch = index_of(table, "epoch");
  if (!index || !of_epoch) return std::nullopt;
  const auto row = std::find_if(table.rows.rbegin(), table.rows.rend(), [&](const std::vector<double>& values) {
    return values[*of_epoch] == epoch && !std::isnan(values[*index]);
  });
  return row == table.rows.rend() ? std::nullopt : std::optional((*row)[*index]);
}

namespace {

constexpr int kEpoch = 100;

/// Of density and cost, the one that stands first matters more.
int importance_of(const std::string& column, bool cost_first) {
  const std::string set = evaluated_set(column);
  const bool evaluated = !set.empty();
  if (column == "epoch") return kEpoch;
  if (column == set + "accuracy") return 95;
  if (column == set + "loss") return 90;
  if (is_density(column) || is_flop_reduction(column)) {
    const bool first = is_flop_reduction(column) == cost_first;
    return evaluated ? (first ? 85 : 78) : (first ? 60 : 55);
  }
  if (column == "images_per_second") return 76;
  if (column == "train_loss") return 79;
  if (column == "train_accuracy") return 70;
  return LinePart::kSpare - (evaluated ? 10 : 20);
}

LinePart epoch_part(double epoch, std::int64_t epochs) {
  const std::string all = concat("/", epochs), done = epochs_text(epoch);
  const std::string longest = concat(epochs) + all;
  return {concat("epoch ", done, all), done + all, kEpoch, 6 + longest.size(), longest.size()};
}

/// For NaN a dash.
LinePart part_of(const std::string& column, double value, bool cost_first) {
  const double longest = long_value(column);
  const std::string name = shown_name(column) + " ";
  LinePart part = {name + (std::isnan(value) ? "-" : shown_text(column, value)), "", importance_of(column, cost_first),
                   name.size() + shown_text(column, longest).size()};
  if (part.importance < LinePart::kSpare) return part;
  const auto brief = [&](const std::string& number) {
    return column == "images_per_second" ? number + "/s" : concat(brief_name(column), " ", number);
  };
  part.brief = brief(std::isnan(value) ? "-" : brief_number(column, value));
  part.kept_brief = brief(brief_number(column, longest)).size();
  return part;
}

}  // namespace

std::vector<std::string> shown_figures(const std::string& prefix, const Network& network) {
  std::vector<std::string> columns;
  for (const MetricType* type : metrics_said_once(network)) columns.push_back(prefix + type->name);
  if (has_conditional_cost(network))
    columns.insert(aims_at_cost(network) ? columns.begin() : columns.end(), prefix + "flop_reduction");
  if (has_narrow_activations(network)) columns.push_back(prefix + "average_bits");
  return columns;
}

std::vector<LinePart> row_line(const MetricsRow& row, const std::vector<std::string>& columns, std::int64_t epochs) {
  std::vector<LinePart> line;
  const auto figure = std::find_if(columns.begin(), columns.end(), [](const std::string& column) {
    return is_density(column) || is_flop_reduction(column);
  });
  const bool cost_first = figure != columns.end() && is_flop_reduction(*figure);
  for (const std::string& column : columns) {
    const auto found = std::find_if(row.begin(), row.end(), [&](const auto& item) { return item.first == column; });
    const double value = found == row.end() ? std::nan("") : as_number(found->second);
    line.push_back(column == "epoch" ? epoch_part(value, epochs) : part_of(column, value, cost_first));
  }
  return line;
}

}  // namespace sluice
