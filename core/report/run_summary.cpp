#include "core/report/run_summary.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/base/descriptor.hpp"
#include "core/base/directory.hpp"
#include "core/base/error.hpp"
#include "core/base/system_error.hpp"
#include "core/checkpoint/per_cent.hpp"
#include "core/config/text.hpp"
#include "core/train/experiment.hpp"
#include "core/train/metrics_text.hpp"
#include "core/train/old_metrics.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 4;  // folders between what is named and a run
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The last `most` bytes of a regular file, all of them for 0; "" where there is none.
std::string read_tail(const std::string& path, std::int64_t most) {
  if (!is_file(path)) return "";
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw_system_error(path, "read", errno, Access::kRead);
  const std::int64_t size = file.tellg();
  if (most == 0 && size > kMostBytes)
    throw Error(ExitCode::kCheckpoint, concat(path, ": has ", size, " bytes, more than the ", kMostBytes,
                                              " that a run's file may have; is it another program's?"));
  const std::int64_t take = most == 0 ? size : std::min(size, most);
  std::string text(static_cast<std::size_t>(take), '\0');
  file.seekg(size - take);
  file.read(text.data(), take);
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

double number_of(const std::string& cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return error == std::errc() && end == cell.data() + cell.size() ? value : std::nan("");
}

/// The last lines of log.txt without their time stamps.
std::vector<std::string> last_lines(const std::string& path) {
  constexpr std::int64_t kEnough = 64 << 10;
  std::istringstream text(read_tail(path, kEnough));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    while (!line.empty() && line.back() == '\r') line.pop_back();
    const std::size_t space = line.find(' ');
    if (!line.empty()) lines.push_back(space == std::string::npos ? line : line.substr(space + 1));
  }
  return lines;
}

/// What a log says at its end: the last line of the last start that was not refused, and why later ones were.
struct LastWords {
  std::string line, refusal;
};

LastWords last_words(std::vector<std::string> lines) {
  constexpr const char *kRefused = "refused: ", *kStart = "run directory";
  LastWords words;
  while (!lines.empty() && starts_with(lines.back(), kRefused)) {
    if (words.refusal.empty()) words.refusal = lines.back().substr(std::string(kRefused).size());
    while (!lines.empty() && !starts_with(lines.back(), kStart)) lines.pop_back();
    if (!lines.empty()) lines.pop_back();
  }
  if (!lines.empty()) words.line = lines.back();
  return words;
}

/// Somebody holds the lock. Asking takes a shared one for a moment, which a run that starts waits for.
bool is_locked(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  const Descriptor lock(fd, path);
  return ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

void read_state(RunSummary& run) {
  const auto [line, refusal] = last_words(last_lines(run.directory + "/log.txt"));
  if (starts_with(line, "done: ") || starts_with(line, "weights of the best epoch: ")) {
    run.state = RunSummary::State::kFinished;
  } else if (!refusal.empty() || starts_with(line, "error: ")) {
    run.state = RunSummary::State::kFailed;
    run.reason = !refusal.empty() ? refusal : line.substr(7);
  } else if (starts_with(line, "stopped ") && !starts_with(line, "stopped early")) {
    run.state = RunSummary::State::kStopped;
    run.reason = line;
  } else {
    run.state = is_locked(run.directory + "/.lock") ? RunSummary::State::kRunning : RunSummary::State::kKilled;
  }
}

std::string value_of(const Config& config, const std::string& section, const std::string& key) {
  const Section* const found = config.find(section);
  const Entry* const entry = found != nullptr ? found->find(key) : nullptr;
  return entry != nullptr ? entry->value : "";
}

/// The watched metric as trainings choose it: of the test set where nothing was held out.
void read_best(RunSummary& run) {
  auto options = run.config.read<EarlyStoppingOptions>("early_stopping");
  std::vector<std::string> candidates = {options.metric};
  if (starts_with(options.metric, "val_")) candidates.push_back("test_" + options.metric.substr(4));
  for (const std::string& name : candidates) {
    if (run.watched.empty() && run.metrics.has(name)) run.watched = name;
  }
  options.metric = run.watched;
  EarlyStopping watch(options);
  for (std::size_t row = 0; row < run.metrics.rows.size(); ++row) {
    if (watch.offer(static_cast<double>(row), run.metrics.value(row, run.watched))) run.best = row;
  }
}

/// Runs at and below a directory, in order; and what could not be looked into, with the reason.
struct Collected {
  std::set<std::string> runs;
  std::vector<std::string> closed;
};

void collect(const std::string& directory, int depth, Collected& found) {
  if (holds_run(directory)) {
    found.runs.insert(directory);
    return;
  }
  if (depth == 0) return;
  std::error_code error;
  const auto note = [&](const std::string& path) {
    if (error) found.closed.push_back(concat(path, ": cannot be looked into: ", error.message()));
  };
  const std::vector<std::string> names = names_in(directory, error);
  note(directory);
  for (const std::string& name : names) {
    const std::string path = directory + (directory.back() == '/' ? "" : "/") + name;
    const bool is_directory = fs::is_directory(fs::symlink_status(path, error));
    note(path);
    if (is_directory) collect(path, depth - 1, found);
  }
}

/// For someone who gave it for a run: ", such as runs/a, or runs/* for all"; "" where there is none below.
std::string advice_on_runs_below(const std::string& directory) {
  Collected found;
  collect(directory, kDeepest, found);
  const std::set<std::string>& runs = found.runs;
  if (runs.empty()) return "";
  const fs::path pattern = fs::path(directory) / "*";
  const bool all = std::all_of(runs.begin(), runs.end(), [&](const std::string& run) {
    return fs::path(run).parent_path() == pattern.parent_path();
  });
  return concat(", such as ", *runs.begin(),
                all && runs.size() > 1 ? concat(", or ", pattern.string(), " for all") : "");
}

}  // namespace

MetricsTable read_metrics(const std::string& path) {
  MetricsTable table;
  std::vector<detail::CsvRecord> records = detail::csv_records(read_tail(path, 0));
  if (records.empty()) return table;
  table.columns = records.front();
  for (std::size_t i = 1; i < records.size(); ++i) {
    std::vector<double> row(table.columns.size(), std::nan(""));
    for (std::size_t c = 0; c < std::min(row.size(), records[i].size()); ++c) row[c] = number_of(records[i][c]);
    table.rows.push_back(std::move(row));
  }
  return table;
}

double MetricsTable::value(std::size_t row, const std::string& column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  return found == columns.end() ? std::nan("") : rows[row][static_cast<std::size_t>(found - columns.begin())];
}

bool MetricsTable::has(const std::string& column) const {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

double MetricsTable::last(const std::string& column) const {
  for (std::size_t row = rows.size(); row > 0; --row) {
    if (const double cell = value(row - 1, column); !std::isnan(cell)) return cell;
  }
  return std::nan("");
}

double MetricsTable::sum(const std::string& column) const {
  double sum = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const double cell = value(row, column);
    if (!std::isnan(cell)) sum += cell;
  }
  return sum;
}

std::int64_t RunSummary::epochs_done() const {
  const double epoch = metrics.rows.empty() ? 0 : metrics.value(metrics.rows.size() - 1, "epoch");
  return epoch > 0 && epoch < 1e9 ? static_cast<std::int64_t>(epoch) : 0;
}

double RunSummary::hours() const {
  return metrics.sum("seconds") / 3600;
}

std::string to_string(RunSummary::State state) {
  switch (state) {
    case RunSummary::State::kFinished:
      return "finished";
    case RunSummary::State::kRunning:
      return "running";
    case RunSummary::State::kStopped:
      return "stopped";
    case RunSummary::State::kFailed:
      return "failed";
    case RunSummary::State::kUnreadable:
      return "unreadable";
    case RunSummary::State::kKilled:
      break;
  }
  return "killed";
}

Config stored_configuration(const std::string& text, const std::string& file) {
  Config config = Config::stored(text, file);
  visit_sections([&](const char* section, auto options) { config.read<decltype(options)>(section); });
  return config;
}

bool holds_run(const std::string& directory) {
  return is_file(directory + "/config.ini") && (is_file(directory + "/metrics.csv") || is_file(directory + "/log.txt"));
}

RunSummary read_run(const std::string& directory) {
  if (!holds_run(directory))
    throw Error(ExitCode::kUsage, concat(directory, ": holds no run; expected a run directory of sluice-train",
                                         advice_on_runs_below(directory)));
  RunSummary run;
  run.directory = directory;
  const std::string file = directory + "/config.ini";
  run.configuration = read_tail(file, 0);
  run.metrics = read_metrics(directory + "/metrics.csv");
  if (!starts_with(run.configuration, kSharesMark)) {
    make_min_delta_a_share(run.configuration);
    make_shares(run.metrics.columns, run.metrics.rows);
  }
  run.config = stored_configuration(run.configuration, file);
  const std::string epochs = value_of(run.config, "train", "epochs");
  run.epochs = detail::parse_integer(epochs).value_or(0);
  read_state(run);
  read_best(run);
  return run;
}

std::vector<std::string> find_runs(const std::vector<std::string>& paths, std::vector<std::string>& closed) {
  std::vector<std::string> runs;
  for (std::string path : paths) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    std::error_code error;
    if (fs::status(path, error).type() == fs::file_type::not_found)
      throw Error(ExitCode::kUsage, concat(path, ": no such folder; expected one of runs of sluice-train"));
    Collected found;
    collect(path, kDeepest, found);
    if (found.runs.empty() && !found.closed.empty()) throw Error(ExitCode::kEnvironment, found.closed.front());
    closed.insert(closed.end(), found.closed.begin(), found.closed.end());
    if (found.runs.empty())
      throw Error(ExitCode::kUsage, concat(path, ": no run of sluice-train lies here, nor in folders below it"));
    for (const std::string& run : found.runs) {
      if (std::find(runs.begin(), runs.end(), run) == runs.end()) runs.push_back(run);
    }
  }
  return runs;
}

}  // namespace sluice
