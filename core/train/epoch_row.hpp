// What a row of metrics holds beyond times and losses: figures of plug-ins and costs; and the table of all rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/status_line.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/train/metrics.hpp"

namespace sluice {

/// NaN for text.
double as_number(const MetricValue& value);

/// Appends the metrics that plug-ins derive, then `macs_executed` (of a training, which has no prefix, only where costs
/// are conditional), `flop_reduction` where they are and `average_bits` where activations are narrow; every name with
/// the prefix ("", "val_").
void append_figures(MetricsRow& row, const std::string& prefix, const Network& network, const CountsByNode& counts);
/// Appends, for every layer whose work depends on its images, PREFIXdensity/LAYER (the share of what it decides about
/// that is done; not of one that decides nothing itself), PREFIXmacs_executed/LAYER, and the mean of its parameters of
/// every group that only such layers have, GROUP/LAYER: threshold/conv1.
void append_layers(MetricsRow& row, const std::string& prefix, const Network& network, const CountsByNode& counts);
/// The names that append_figures may append.
std::vector<std::string> figure_columns(const std::string& prefix, const Network& network);

/// Appends the metrics of plug-ins, but for those that are 1 minus an earlier one.
void append_live_metrics(std::vector<LinePart>& line, const Network& network, const CountsByNode& counts);

/// Appends a row without its times, in which equal runs differ, adding columns that are new (older rows get NaN there).
void append_row(HistoryTable& table, const MetricsRow& row);

/// What the last row has in a column, or nothing.
std::optional<double> last_value(const HistoryTable& table, const std::string& column);

/// What the last row of this epoch that has the column has there, or nothing.
std::optional<double> value_at(const HistoryTable& table, double epoch, const std::string& column);

/// Of the columns that append_figures may append those that people see of every row: metrics that say something new,
/// and instead of multiply-adds what they are of the dense ones.
std::vector<std::string> shown_figures(const std::string& prefix, const Network& network);

/// The row as a line for people, of a run of so many epochs: "epoch 3/60, lr 0.100, train_loss 1.2340, val_accuracy
/// 91.20 %, ...". All `columns` stand there, in their order, with a dash where the row has no value; on a terminal all
/// rows leave out the same ones. Where there is no room, what was evaluated stays longest.
std::vector<LinePart> row_line(const MetricsRow& row, const std::vector<std::string>& columns, std::int64_t epochs);

}  // namespace sluice
