#include "core/train/old_metrics.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/atomic_file.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/train/metrics_text.hpp"

namespace sluice {
namespace {

/// Accuracies by step and column.
class Accuracies {
 public:
  explicit Accuracies(const HistoryTable& history) {
    const auto step = std::find(history.columns.begin(), history.columns.end(), "step");
    if (step == history.columns.end()) return;
    const auto at = static_cast<std::size_t>(step - history.columns.begin());
    for (const std::vector<double>& row : history.rows) {
      for (std::size_t column = 0; column < row.size(); ++column)
        if (is_accuracy(history.columns[column])) values_[row[at]][history.columns[column]] = row[column];
    }
  }
  /// Null where there are none.
  const std::map<std::string, double>* after(std::optional<std::int64_t> step) const {
    const auto found = step ? values_.find(static_cast<double>(*step)) : values_.end();
    return found == values_.end() ? nullptr : &found->second;
  }

 private:
  std::map<double, std::map<std::string, double>> values_;
};

std::string csv_with(const Accuracies& accuracies, const std::string& text) {
  std::vector<detail::CsvRecord> records = detail::csv_records(text);
  if (records.empty()) return text;
  const detail::CsvRecord columns = records.front();
  const auto step = static_cast<std::size_t>(std::find(columns.begin(), columns.end(), "step") - columns.begin());
  std::string all;
  for (detail::CsvRecord& record : records) {
    const auto* const row = step < record.size() ? accuracies.after(detail::parse_integer(record[step])) : nullptr;
    for (std::size_t column = 0; column < record.size(); ++column) {
      std::string& cell = record[column];
      const std::string name = column < columns.size() ? columns[column] : "";
      if (row != nullptr && !cell.empty() && row->count(name) != 0) cell = detail::csv_cell(row->at(name));
      all += (column == 0 ? "" : ",") + detail::csv_cell(cell);
    }
    all += '\n';
  }
  return all;
}

std::string jsonl_with(const Accuracies& accuracies, const std::string& text) {
  std::string all;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (const auto* const row = accuracies.after(detail::json_step(line))) {
      auto object = nlohmann::ordered_json::parse(line, nullptr, false);
      for (const auto& [name, value] : *row)
        if (object.is_object() && object.contains(name)) object[name] = value;
      if (object.is_object()) line = object.dump();
    }
    all += line + '\n';
  }
  return all;
}

template <class Change>
void rewrite(const std::string& path, const Change& changed) {
  if (const std::optional<std::string> text = read_file(path)) write_file_atomic(path, changed(*text));
}

}  // namespace

void replace_accuracies(const std::string& csv_path, const std::string& jsonl_path, const HistoryTable& history) {
  const Accuracies accuracies(history);
  rewrite(csv_path, [&](const std::string& text) { return csv_with(accuracies, text); });
  rewrite(jsonl_path, [&](const std::string& text) { return jsonl_with(accuracies, text); });
}

}  // namespace sluice
