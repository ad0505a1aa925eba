#include "core/report/select_rows.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

struct Condition {
  std::string column, relation, value;
};

Condition parse(const std::string& text, const std::string& where) {
  const std::size_t at = text.find_first_of("=!<>"), end = text.find_first_not_of("=!<>", at);
  const std::string relation = at == std::string::npos ? "" : text.substr(at, std::min(end, text.size()) - at);
  if (at == 0 || !contains({"=", "!=", "<", "<=", ">", ">="}, relation))
    throw Error(ExitCode::kUsage,
                concat(where, ": expected a condition such as state=finished or hours>2, got ", quoted(text)));
  return {trim(text.substr(0, at)), relation, end == std::string::npos ? "" : trim(text.substr(end))};
}

/// A column, and whether it was called by the title that people see.
struct Called {
  std::size_t column;
  bool by_title;
};

Called called(const Records& records, const std::string& name, const std::string& where) {
  if (const std::optional<std::size_t> column = records.find(name)) {
    return {*column, records.columns[*column].name != name};
  }
  std::vector<std::string> names;
  for (const RecordColumn& column : records.columns) {
    names.push_back(column.name);
    if (column.title != column.name) names.push_back(column.title);
  }
  throw Error(ExitCode::kUsage, concat(where, ": no column ", quoted(name), suggestion(name, names, "there are")));
}

std::optional<double> number_of(const Cell& cell, bool by_title) {
  if (by_title && cell.shown) return cell.shown;
  if (!cell.value) return std::nullopt;
  if (const auto* number = std::get_if<double>(&*cell.value)) return *number;
  if (const auto* integer = std::get_if<std::int64_t>(&*cell.value)) return static_cast<double>(*integer);
  return std::nullopt;
}

/// A number as somebody writes it: 0.95, 95%, 10M; a time, 1h30m, in seconds.
std::optional<double> quantity_in(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) {
    const std::string unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
    for (const auto& [name, factor] : {std::pair{"", 1.0}, {"%", 0.01}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}})
      if (unit == name) return factor * value;
  }
  return parse_duration(text);
}

bool holds(const Cell& cell, bool by_title, const Condition& condition) {
  const std::string& relation = condition.relation;
  const std::optional<double> a = number_of(cell, by_title), b = quantity_in(condition.value);
  if (relation == "=") return a && b ? *a == *b : cell.text == condition.value;
  if (relation == "!=") return a && b ? *a != *b : cell.text != condition.value;
  if (!a || !b) return false;
  if (relation == "<") return *a < *b;
  if (relation == "<=") return *a <= *b;
  return relation == ">" ? *a > *b : *a >= *b;
}

/// A comparison needs a number; and shares, which stand as per cent, are from 0 to 1.
void check(const Records& records, const Called& column, const Condition& condition, const std::string& where) {
  const std::optional<double> number = quantity_in(condition.value);
  if (!number && condition.relation.find_first_of("<>") != std::string::npos)
    throw Error(ExitCode::kUsage, concat(where, ": expected a number such as 0.95, 95%, 10M or 1h30m behind ",
                                         quoted(condition.relation), ", got ", quoted(condition.value)));
  const auto is_share = [&](const std::vector<Cell>& row) {
    const Cell& cell = row[column.column];
    const std::optional<double> value = number_of(cell, column.by_title);
    return !value || (ends_with(cell.text, "%") && *value <= 1);
  };
  const auto has_value = [&](const std::vector<Cell>& row) { return row[column.column].value.has_value(); };
  const auto& rows = records.rows;
  const bool shares =
      std::any_of(rows.begin(), rows.end(), has_value) && std::all_of(rows.begin(), rows.end(), is_share);
  if (number && *number > 1 && shares)
    throw Error(ExitCode::kUsage,
                concat(where, ": ", condition.column, " is a share: expected 0 to 1, or per cent, got ",
                       quoted(condition.value), "; did you mean ", condition.value, "%?"));
}

bool before(const Cell& a, const Cell& b, bool by_title, bool descending) {
  if (!a.value || !b.value) return a.value.has_value() && !b.value.has_value();
  const std::optional<double> x = number_of(a, by_title), y = number_of(b, by_title);
  if (x && y) return descending ? *x > *y : *x < *y;
  return descending ? a.text > b.text : a.text < b.text;
}

}  // namespace

std::string column_of_condition(const std::string& condition, const std::string& where) {
  return parse(condition, where).column;
}

void filter_rows(Records& records, const std::string& text, const std::string& where) {
  const Condition condition = parse(text, where);
  const Called column = called(records, condition.column, where);
  check(records, column, condition, where);
  const auto fails = [&](const std::vector<Cell>& row) {
    return !holds(row[column.column], column.by_title, condition);
  };
  records.rows.erase(std::remove_if(records.rows.begin(), records.rows.end(), fails), records.rows.end());
}

void sort_rows(Records& records, const std::string& name, const std::string& where) {
  const bool descending = !name.empty() && name.front() == '-';
  const Called column = called(records, name.substr(descending ? 1 : 0), where);
  std::stable_sort(records.rows.begin(), records.rows.end(),
                   [&](const std::vector<Cell>& a, const std::vector<Cell>& b) {
                     return before(a[column.column], b[column.column], column.by_title, descending);
                   });
}

}  // namespace sluice
