// The text of metrics rows, and finding the step in what an earlier process wrote.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/metrics.hpp"

namespace sluice::detail {

/// One cell or header of metrics.csv, quoted where RFC 4180 asks for it.
std::string csv_cell(const MetricValue& value);
/// A value of metrics.jsonl.
std::string json_value(const MetricValue& value);
std::string json_string(const std::string& text);

/// The cells, without quotes, of one line of a CSV text.
using CsvRecord = std::vector<std::string>;
/// All records that end with a line end (LF, CR or both); an unfinished last one is left out. Only a quote at the
/// beginning of a cell that has its other one at the end is no part of the text. Line ends inside of cells are spaces,
/// as csv_cell writes them.
std::vector<CsvRecord> csv_records(std::string_view text);

/// The integer of the top-level key "step" of a JSON object on one line.
std::optional<std::int64_t> json_step(std::string_view line);
std::optional<std::int64_t> parse_integer(std::string_view text);

}  // namespace sluice::detail
