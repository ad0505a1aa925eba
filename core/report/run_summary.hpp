// What a run directory tells, without its checkpoints: how the run stands, what it was asked to do, its metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace sluice {

/// metrics.csv as numbers: NaN for empty cells and text.
struct MetricsTable {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;

  /// NaN where there is no such column. The row must be there.
  double value(std::size_t row, const std::string& column) const;
  bool has(const std::string& column) const;
  /// Over all rows; NaN cells count nothing.
  double sum(const std::string& column) const;
  /// The last value that is a number; NaN where there is none.
  double last(const std::string& column) const;
};

/// Reads a metrics.csv; an empty table where there is none. Throws Error(kCheckpoint) for a file that is too large.
MetricsTable read_metrics(const std::string& path);

struct RunSummary {
  enum class State {
    kFinished,
    kRunning,
    kStopped,     ///< by a signal or its time budget, to be continued
    kFailed,      ///< by an error, `reason`
    kKilled,      ///< without a word
    kUnreadable,  ///< a file of it is none of ours, `reason`
  };

  std::string directory;
  State state = State::kKilled;
  std::string reason;
  std::string configuration;  ///< resolved, as text
  Config config;
  MetricsTable metrics;             ///< accuracies are shares, also of runs that wrote them per cent
  std::int64_t epochs = 0;          ///< that the run was asked for; 0: unknown
  std::string watched;              ///< the column that decides which epoch is the best; empty without metrics
  std::optional<std::size_t> best;  ///< its row

  /// Of the last row; 0 without any.
  std::int64_t epochs_done() const;
  double hours() const;  ///< spent in training
};

/// "finished", "running", "stopped", "failed", "killed", "unreadable".
std::string to_string(RunSummary::State state);

/// A resolved configuration, which may be a stranger's, with what each key means (Section::role_of). Throws
/// Error(kCheckpoint), named `file`.
Config stored_configuration(const std::string& text, const std::string& file);

/// The directory holds a resolved configuration and a log or metrics.
bool holds_run(const std::string& directory);

/// Reads a run; the files may be a stranger's, and a run may be writing them. Throws Error(kUsage) where the directory
/// holds none, Error(kCheckpoint) where a file of it is none of ours, Error(kEnvironment) where one may not be read.
RunSummary read_run(const std::string& directory);

/// The run directories among `paths` and below them, in the order of their names below each; symbolic links below them
/// are not followed. Folders that may not be looked into are left out, and `closed` gets why. Throws Error(kUsage) for
/// a path without any, Error(kEnvironment) where that may lie behind a closed folder.
std::vector<std::string> find_runs(const std::vector<std::string>& paths, std::vector<std::string>& closed);

}  // namespace sluice
