// Writes rows, adds columns, and cuts what lies past a restored step.
#include "core/train/metrics.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/atomic_file.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/train/metrics_text.hpp"

namespace sluice {
namespace {

using detail::CsvRecord;

[[noreturn]] void not_ours(const std::string& path, std::size_t line, const std::string& what) {
  throw Error(ExitCode::kCheckpoint,
              concat(path, ":", line, ": ", what, "; the file was changed since: move it away to go on without it"));
}

/// The file's text without a byte order mark; empty when there is none. Behind a zero byte there is only what a power
/// cut left.
std::string text_of(const std::string& path) {
  std::string text = read_file(path).value_or("");
  const auto begins = [&text](std::string_view mark) { return text.compare(0, mark.size(), mark) == 0; };
  if (begins("\xFF\xFE") || begins("\xFE\xFF")) not_ours(path, 1, "is UTF-16 text, expected UTF-8");
  text.resize(std::min(text.size(), text.find('\0')));
  return begins("\xEF\xBB\xBF") ? text.substr(3) : text;
}

void replace_if_cut(const std::string& path, const std::string& kept) {
  if (kept != read_file(path).value_or("")) write_file_atomic(path, kept);
}

void check_columns(const std::string& path, const std::vector<std::string>& columns) {
  std::set<std::string> seen;
  for (const std::string& column : columns)
    if (!seen.insert(column).second) not_ours(path, 1, concat("the header has the column '", column, "' twice"));
  if (!columns.empty() && seen.count("step") == 0) not_ours(path, 1, "the header has no column 'step'");
}

std::string text_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + detail::csv_cell(cells[i]);
  return line + '\n';
}

/// Cuts rows past `last_step` and puts line ends and quotes right; returns the columns.
std::vector<std::string> cut_csv(const std::string& path, std::int64_t last_step) {
  const std::vector<CsvRecord> records = detail::csv_records(text_of(path));
  std::string kept;
  std::vector<std::string> columns;
  if (!records.empty()) {
    columns = records[0];
    kept = text_line(columns);
  }
  check_columns(path, columns);
  const auto found = std::find(columns.begin(), columns.end(), "step");
  const auto step_column = static_cast<std::size_t>(found - columns.begin());
  for (std::size_t i = 1; i < records.size(); ++i) {
    const CsvRecord& cells = records[i];
    if (cells.size() != columns.size())
      not_ours(path, i + 1, concat("expected ", columns.size(), " cells as in the header, got ", cells.size()));
    const std::optional<std::int64_t> step = detail::parse_integer(cells[step_column]);
    if (!step) not_ours(path, i + 1, concat("expected an integer in column 'step', got '", cells[step_column], "'"));
    if (*step <= last_step) kept += text_line(cells);
  }
  replace_if_cut(path, kept);
  return columns;
}

/// The line that begins at text[begin] and ends at text[end], a line end, which may be CR and LF.
std::string_view line_at(const std::string& text, std::size_t begin, std::size_t end) {
  std::string_view line = std::string_view(text).substr(begin, end - begin);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

void cut_jsonl(const std::string& path, std::int64_t last_step) {
  const std::string text = text_of(path);
  std::string kept;
  std::size_t number = 1;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, ++number) {
    const std::string_view line = line_at(text, begin, end);
    const std::optional<std::int64_t> step = detail::json_step(line);
    if (!step) not_ours(path, number, "expected an object with an integer 'step'");
    if (*step <= last_step) kept.append(line).append("\n");
  }
  replace_if_cut(path, kept);
}

off_t size_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_size : 0;
}

std::string csv_line(const MetricsRow& row, const std::vector<std::string>& columns) {
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto found = std::find_if(row.begin(), row.end(), [&](const auto& item) { return item.first == columns[i]; });
    if (i > 0) line += ',';
    if (found != row.end()) line += detail::csv_cell(found->second);
  }
  return line + '\n';
}

std::string json_line(const MetricsRow& row) {
  std::string line;
  for (const auto& [name, value] : row)
    line += concat(line.empty() ? "{" : ",", detail::json_string(name), ":", detail::json_value(value));
  return line + "}\n";
}

void check_row(const MetricsRow& row) {
  std::set<std::string> names;
  for (const auto& item : row)
    if (!names.insert(item.first).second)
      throw Error(ExitCode::kInternal, concat("metrics row: two values for '", item.first, "'"));
  const auto step = std::find_if(row.begin(), row.end(), [](const auto& item) { return item.first == "step"; });
  if (step == row.end() || !std::holds_alternative<std::int64_t>(step->second))
    throw Error(ExitCode::kInternal, "metrics row: no integer 'step'");
}

}  // namespace

MetricsFiles::MetricsFiles(std::string csv_path, std::string jsonl_path, std::int64_t last_step)
    : csv_path_(std::move(csv_path)), jsonl_path_(std::move(jsonl_path)) {
  columns_ = cut_csv(csv_path_, last_step);
  cut_jsonl(jsonl_path_, last_step);
  csv_.open(csv_path_);
  jsonl_.open(jsonl_path_);
}

void MetricsFiles::write(const MetricsRow& row) {
  check_row(row);
  add_columns(row);
  const off_t csv_size = size_of(csv_.fd), jsonl_size = size_of(jsonl_.fd);
  const std::string* failed = &csv_path_;
  int error = write_fully(csv_.fd, csv_line(row, columns_));
  if (error == 0) {
    failed = &jsonl_path_;
    error = write_fully(jsonl_.fd, json_line(row));
  }
  if (error == 0) return;
  // A row stands in both files or in neither. Shrinking needs no space; if it fails all the same, the next start cuts.
  if (::ftruncate(csv_.fd, csv_size) != 0 || ::ftruncate(jsonl_.fd, jsonl_size) != 0) error = errno;
  throw_system_error(*failed, "write", error);
}

void MetricsFiles::add_columns(const MetricsRow& row) {
  std::vector<std::string> columns = columns_;
  for (const auto& item : row)
    if (std::find(columns.begin(), columns.end(), item.first) == columns.end()) columns.push_back(item.first);
  if (columns.size() == columns_.size()) return;
  const std::vector<CsvRecord> records = detail::csv_records(text_of(csv_path_));
  std::string longer = text_line(columns);
  for (std::size_t i = 1; i < records.size(); ++i) {
    CsvRecord cells = records[i];
    cells.resize(columns.size());
    longer += text_line(cells);
  }
  write_file_atomic(csv_path_, longer);
  csv_.open(csv_path_);
  columns_ = columns;
}

void MetricsFiles::File::open(const std::string& path) {
  close();
  fd = open_regular(path, O_WRONLY | O_CREAT | O_APPEND);
}

void MetricsFiles::File::close() {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace sluice
