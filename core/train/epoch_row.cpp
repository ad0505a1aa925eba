#include "core/train/epoch_row.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/train/conditional_layers.hpp"

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
    row.emplace_back(concat(prefix, "density/", node.name), density_of(node, counts[i]));
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

void append_live_metrics(std::vector<LinePart>& line, const Network& network, const CountsByNode& counts) {
  int importance = 75;  // of the first; the others are spare
  for (const DerivedMetric& metric : said_once(derive_metrics(network, counts))) {
    const std::string& name = metric.type->name;
    const std::string unit = metric.type->unit.empty() ? "" : " " + metric.type->unit;
    line.push_back({concat(name, " ", fixed(metric.value, 4), unit),
                    concat(name.substr(name.rfind('_') + 1), " ", fixed(metric.value, 2), unit), importance});
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

std::string cell_text(const std::string& name, const MetricValue& value) {
  const double number = as_number(value);
  if (std::holds_alternative<std::int64_t>(value)) return std::to_string(std::get<std::int64_t>(value));
  if (name == "lr") return concat(number);
  return is_accuracy(name) ? fixed(100 * number, 2) + " %" : fixed(number, 3);
}

}  // namespace

std::string row_text(const MetricsRow& row) {
  std::string text;
  double before = std::nan("");  // the column
  for (const auto& [name, value] : row) {
    if (name == "step" || name == "gradient_norm" || name.find("macs_") != std::string::npos || is_of_layer(name))
      continue;
    const double number = as_number(value);
    const bool said = are_complements(number, before);
    before = number;
    if (said) continue;
    text += concat(text.empty() ? "" : ", ", name, " ", cell_text(name, value));
  }
  return text;
}

}  // namespace sluice
