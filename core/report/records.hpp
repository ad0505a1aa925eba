// Rows of named values that a program shows as a table, or writes as CSV, JSON or Markdown.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/base/table.hpp"
#include "core/train/metrics.hpp"

namespace sluice {

/// A value and what people read. A cell without a value is empty, and null in JSON.
struct Cell {
  std::optional<MetricValue> value;
  std::string text;
  std::optional<double> shown = {};  ///< the number that the text says, where it is another one: a cost, seconds
};
Cell text_cell(const std::string& text);
Cell count_cell(std::int64_t count);
/// With so many digits behind the point; empty for NaN.
Cell number_cell(double value, int digits);
/// As milliseconds_text() has them, without their unit.
Cell milliseconds_cell(double milliseconds);
/// Of an accuracy or a probability: "91.20 %".
Cell percent_cell(double share);
/// As operations_text() has it.
Cell operations_cell(double count);
/// A number of hours as time_text() has it.
Cell hours_cell(double hours);

/// A column: `name` is that of files, "macs_executed"; `title` that of tables, "multiply-adds".
struct RecordColumn {
  std::string name, title;
  Table::Align align = Table::Align::kRight;
  int importance = Table::kAlways;  ///< 0: in files only
  Table::Narrow narrow = Table::Narrow::kNever;
};

enum class RecordFormat { kTable, kCsv, kJson, kMarkdown };

struct Records {
  std::string title;  ///< a line above tables; empty: none
  std::vector<RecordColumn> columns;
  std::vector<std::vector<Cell>> rows;  ///< each as long as `columns`
  std::string rows_are;                 ///< "runs" (Table::name_rows)

  /// Index of a column by its name, else by its title; nothing where there is none.
  std::optional<std::size_t> find(const std::string& name) const;
  /// `width`: of a table (Table::print). Numbers of CSV and JSON have as many digits as it takes.
  void print(std::ostream& out, RecordFormat format, std::optional<int> width) const;
};

}  // namespace sluice
