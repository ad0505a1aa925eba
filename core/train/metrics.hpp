// Rows of metrics in the run directory: metrics.csv for people and spreadsheets, metrics.jsonl for scripts.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace sluice {

using MetricValue = std::variant<double, std::int64_t, std::string>;

/// Named values in the order in which they are written. Every row has a "step" (integer): resuming cuts by it.
using MetricsRow = std::vector<std::pair<std::string, MetricValue>>;

/// Appends rows to both files; each row is on its way to the disk when write() returns.
/// - csv: RFC 4180 with one header line. Columns stand in the order of their first appearance. A row may lack columns
///   (their cells stay empty) and may bring new ones: these are added on the right and the file is replaced atomically
///   by one with the longer header, older rows having empty cells there. NaN and infinities are `nan`, `inf`, `-inf`.
/// - jsonl: one object a line with the row's own values in its own order; NaN and infinities are `null`.
/// Numbers are written with the fewest digits that read back as the same double.
class MetricsFiles {
 public:
  /// Continues the files, or makes them. With `last_step` rows whose step is past it, and a last line that a killed
  /// process left unfinished, are cut first (atomically). Throws Error(kEnvironment) when a file cannot be read or
  /// written, and Error(kCheckpoint) naming the record when it is not one of ours.
  MetricsFiles(std::string csv_path, std::string jsonl_path, std::int64_t last_step);

  /// Appends a row. Throws Error(kEnvironment), after taking back a half-written line, when the disk is full.
  void write(const MetricsRow& row);
  const std::vector<std::string>& columns() const { return columns_; }

 private:
  /// Closes itself.
  struct File {
    int fd = -1;
    File() = default;
    ~File() { close(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    void open(const std::string& path);
    void close();
  };
  void add_columns(const MetricsRow& row);

  std::string csv_path_, jsonl_path_;
  std::vector<std::string> columns_;
  File csv_, jsonl_;
};

}  // namespace sluice
