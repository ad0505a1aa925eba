#include "core/report/network_table.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/graph/derived_metrics.hpp"

namespace sluice {
namespace {

double metric_of(const NetworkRow& row, const std::string& name) {
  const auto found =
      std::find_if(row.metrics.begin(), row.metrics.end(), [&](const auto& metric) { return metric.first == name; });
  return found == row.metrics.end() ? std::nan("") : found->second;
}

std::vector<Cell> cells(const NetworkRow& row, const std::vector<std::string>& metrics, bool timed) {
  std::vector<Cell> cells = {row.subject, percent_cell(row.accuracy), number_cell(row.loss, 4)};
  for (const std::string& name : metrics) {
    const double value = metric_of(row, name);
    cells.push_back(std::isnan(value) ? Cell{} : Cell{value, shown_text(name, value)});
  }
  const Cost& cost = row.cost;
  cells.insert(cells.end(),
               {operations_cell(cost.macs_executed), operations_cell(cost.macs_dense),
                Cell{cost.flop_reduction(), share_text(1 / cost.flop_reduction())}, number_cell(cost.average_bits(), 2),
                operations_cell(cost.bit_operations_executed), operations_cell(cost.bit_operations_dense),
                count_cell(row.parameters), count_cell(row.images), text_cell(row.split)});
  if (!timed) return cells;
  cells.push_back(row.milliseconds ? milliseconds_cell(*row.milliseconds) : Cell{});
  cells.push_back(count_cell(row.batch));
  return cells;
}

/// All rows are about the same images.
bool on_one_set(const std::vector<NetworkRow>& rows) {
  return std::all_of(rows.begin(), rows.end(), [&](const NetworkRow& row) {
    return row.set == rows.front().set && row.images == rows.front().images;
  });
}

}  // namespace

NetworkRow network_row(Cell subject, const Network& network, const Evaluation& evaluation) {
  NetworkRow row;
  row.subject = std::move(subject);
  row.images = evaluation.images;
  row.parameters = network.learned_count();
  row.accuracy = evaluation.accuracy();
  row.loss = evaluation.loss;
  for (const DerivedMetric& metric : derive_metrics(network, evaluation.counts)) {
    row.metrics.emplace_back(metric.type->name, metric.value);
    if (!metric.type->complement.empty()) row.complements.push_back(metric.type->name);
  }
  row.cost = evaluation.cost;
  return row;
}

Records networks_table(const RecordColumn& subject, const std::vector<NetworkRow>& rows) {
  std::vector<std::string> metrics, complements;
  for (const NetworkRow& row : rows) {
    for (const auto& metric : row.metrics)
      if (!contains(metrics, metric.first)) metrics.push_back(metric.first);
    complements.insert(complements.end(), row.complements.begin(), row.complements.end());
  }
  const bool timed = std::any_of(rows.begin(), rows.end(), [](const NetworkRow& row) { return row.milliseconds; });
  const bool one_batch =
      std::all_of(rows.begin(), rows.end(), [&](const NetworkRow& row) { return row.batch == rows.front().batch; });
  const bool narrow =
      std::any_of(rows.begin(), rows.end(), [](const NetworkRow& row) { return row.cost.average_bits() < 32; });
  const bool saves =
      std::any_of(rows.begin(), rows.end(), [](const NetworkRow& row) { return row.cost.flop_reduction() > 1; });
  const auto column = [](const char* name, const char* title, int importance) {
    return RecordColumn{name, title, Table::Align::kRight, importance};
  };
  const bool one_set = on_one_set(rows);
  Records records;
  if (!rows.empty())
    records.title = one_set ? concat("on ", counted(rows.front().images, rows.front().split + " image"))
                            : concat("each on the ", rows.front().split, " images of its own set");
  records.rows_are = subject.title + "s";
  records.columns = {subject, column("accuracy", "accuracy", 90), column("loss", "loss", 50)};
  for (const std::string& metric : metrics)
    records.columns.push_back(
        column(metric.c_str(), shown_name(metric).c_str(), contains(complements, metric) ? 0 : 84));
  records.columns.insert(
      records.columns.end(),
      {column("macs_executed", "multiply-adds", saves ? 45 : 80), column("macs_dense", "dense", saves ? 40 : 0),
       column("flop_reduction", "cost", saves ? 82 : 0), column("average_bits", "bits", narrow ? 78 : 0),
       column("bit_operations_executed", "bit operations", 0),
       column("bit_operations_dense", "dense bit operations", 0), column("parameters", "parameters", 0),
       column("images", "images", one_set ? 0 : 65), column("split", "split", 0)});
  if (timed) {
    const std::string title = one_batch ? concat("ms, batch ", rows.front().batch) : "ms";
    records.columns.push_back(column("milliseconds", title.c_str(), Table::kAlways));
    records.columns.push_back(column("batch", "batch", one_batch ? 0 : 82));
  }
  for (const NetworkRow& row : rows) records.rows.push_back(cells(row, metrics, timed));
  return records;
}

}  // namespace sluice
