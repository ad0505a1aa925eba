#include "core/train/epoch_row.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
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

/// "dens" for gate_density: the line of progress has little room.
std::string abbreviated(const std::string& metric) {
  constexpr std::size_t kWhole = 5, kKept = 4;
  const std::string word = metric.substr(metric.rfind('_') + 1);
  return word.size() <= kWhole ? word : word.substr(0, kKept);
}

}  // namespace

void append_live_metrics(std::vector<LinePart>& line, const Network& network, const CountsByNode& counts) {
  int importance = 75;  // of the first; the others are spare
  for (const DerivedMetric& metric : said_once(derive_metrics(network, counts))) {
    const std::string& name = metric.type->name;
    const std::string unit = metric.type->unit.empty() ? "" : " " + metric.type->unit;
    line.push_back({concat(name, " ", fixed(metric.value, 4), unit),
                    concat(abbreviated(name), " ", fixed(metric.value, 2), unit), importance});
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

std::optional<double> last_value(const HistoryTable& table, const std::string& column) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), column);
  if (table.rows.empty() || found == table.columns.end()) return std::nullopt;
  return table.rows.back()[static_cast<std::size_t>(found - table.columns.begin())];
}

namespace {

/// "val_", "test_"; "" for figures of the training.
std::string evaluated_set(const std::string& column) {
  for (const char* set : {"val_", "test_"})
    if (starts_with(column, set)) return set;
  return "";
}

int importance_of(const std::string& column) {
  const std::string set = evaluated_set(column);
  const bool evaluated = !set.empty();
  if (column == "epoch") return 100;
  if (column == set + "accuracy") return 95;
  if (column == set + "loss") return 90;
  if (column_ends_in(column, "density")) return evaluated ? 85 : 60;
  if (column == "images_per_second") return 78;
  if (column == "train_loss") return 79;
  if (column == "train_accuracy") return 70;
  return LinePart::kSpare - (evaluated ? 10 : 20);
}

/// A metric that may be 1 minus another, as no figure of ours is.
bool is_of_plugin(const std::string& column) {
  const std::string name = column.substr(evaluated_set(column).size());
  return !is_time(column) && !is_accuracy(column) && !column_ends_in(column, "_loss") && name != "loss" &&
         !contains({"epoch", "lr", "flop_reduction", "average_bits"}, name);
}

std::string cell_text(const std::string& column, const MetricValue& value) {
  const double number = as_number(value);
  if (std::holds_alternative<std::int64_t>(value)) return std::to_string(std::get<std::int64_t>(value));
  if (column == "lr") return concat(number);
  if (column == "epoch") return epochs_text(number);
  return is_accuracy(column) ? fixed(100 * number, 2) + " %" : fixed(number, 3);
}

/// "val_dens 0.45" for val_gate_density, "acc 45.7%" for train_accuracy.
std::string brief_cell(const std::string& column, double number) {
  if (column == "images_per_second") return fixed(number, 0) + "/s";
  if (is_accuracy(column)) {
    const std::string name = starts_with(column, "train_") ? column.substr(6) : column;
    return concat(name.substr(0, name.size() - 5), " ", fixed(100 * number, 1), "%");
  }
  return concat(evaluated_set(column), abbreviated(column), " ", fixed(number, 2));
}

}  // namespace

std::vector<LinePart> row_line(const MetricsRow& row, std::int64_t epochs) {
  std::vector<LinePart> line;
  double before = std::nan("");  // the column
  for (const auto& [column, value] : row) {
    if (column == "step" || column == "gradient_norm" || column.find("macs_") != std::string::npos ||
        is_of_layer(column))
      continue;
    const double number = as_number(value);
    const bool said = is_of_plugin(column) && are_complements(number, before);
    before = is_of_plugin(column) ? number : std::nan("");
    if (said) continue;
    const std::string cell = cell_text(column, value);
    const int importance = importance_of(column);
    if (column == "epoch")
      line.push_back({concat("epoch ", cell, "/", epochs), concat(cell, "/", epochs), importance});
    else
      line.push_back(
          {concat(column, " ", cell), importance < LinePart::kSpare ? "" : brief_cell(column, number), importance});
  }
  return line;
}

}  // namespace sluice
