#include "core/report/records.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/train/metrics_text.hpp"

namespace sluice {
namespace {

Cell finite(double value, std::string text) {
  if (std::isnan(value)) return {};
  return {value, std::move(text)};
}

/// The cells that people see.
std::vector<std::string> texts(const Records& records, const std::vector<Cell>& row) {
  std::vector<std::string> cells;
  for (std::size_t c = 0; c < row.size(); ++c)
    if (records.columns[c].importance > 0) cells.push_back(row[c].text);
  return cells;
}

void print_csv(std::ostream& out, const Records& records) {
  std::vector<std::string> line;
  for (const RecordColumn& column : records.columns) line.push_back(detail::csv_cell(column.name));
  out << join(line, ",") << "\n";
  for (const auto& row : records.rows) {
    line.clear();
    for (const Cell& cell : row) line.push_back(cell.value ? detail::csv_cell(*cell.value) : "");
    out << join(line, ",") << "\n";
  }
}

void print_json(std::ostream& out, const Records& records) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& row : records.rows) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t c = 0; c < row.size(); ++c) {
      nlohmann::ordered_json& value = object[records.columns[c].name];
      if (row[c].value) std::visit([&](const auto& held) { value = held; }, *row[c].value);
    }
    json.push_back(std::move(object));
  }
  out << json_text(json) << "\n";
}

}  // namespace

Cell text_cell(const std::string& text) {
  return {text, text};
}

Cell count_cell(std::int64_t count) {
  return {count, std::to_string(count)};
}

Cell number_cell(double value, int digits) {
  constexpr double kLongest = 1e7;
  return finite(value, std::abs(value) < kLongest ? fixed(value, digits) : concat(value));
}

Cell percent_cell(double share) {
  return finite(share, accuracy_text(share));
}

Cell operations_cell(double count) {
  return finite(count, operations_text(count));
}

Cell milliseconds_cell(double milliseconds) {
  return finite(milliseconds, milliseconds_text(milliseconds));
}

Cell hours_cell(double hours) {
  constexpr double kSeconds = 3600;
  Cell cell = finite(hours, time_text(hours * kSeconds));
  if (cell.value) cell.shown = hours * kSeconds;
  return cell;
}

std::optional<std::size_t> Records::find(const std::string& name) const {
  for (std::string RecordColumn::*const called : {&RecordColumn::name, &RecordColumn::title}) {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const RecordColumn& column) { return column.*called == name; });
    if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  }
  return std::nullopt;
}

void Records::print(std::ostream& out, RecordFormat format, std::optional<int> width) const {
  if (format == RecordFormat::kCsv) return print_csv(out, *this);
  if (format == RecordFormat::kJson) return print_json(out, *this);
  std::vector<Table::Column> titles;
  for (const RecordColumn& column : columns)
    if (column.importance > 0) titles.push_back({column.title, column.align, column.importance, column.narrow});
  std::vector<std::vector<std::string>> lines;
  for (const auto& row : rows) lines.push_back(texts(*this, row));
  if (format == RecordFormat::kMarkdown) {
    out << (title.empty() ? "" : title + "\n\n") << markdown_table(titles, lines);
    return;
  }
  if (!title.empty()) out << title << "\n";
  Table table(titles);
  table.name_rows(rows_are);
  for (auto& line : lines) table.add(std::move(line));
  table.print(out, width);
}

}  // namespace sluice
