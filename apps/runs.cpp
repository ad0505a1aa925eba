// sluice-runs: a table of training runs.
#include <iostream>

#include "apps/formats.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/report/run_table.hpp"
#include "core/report/select_rows.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "DIR... [options]";
  program.summary =
      "Shows the runs of sluice-train in and below directories: how each stands, what differs between their "
      "configurations, the metrics of the best epoch, what the network costs, and the time of training (of complete "
      "epochs).";
  program.flags = {
      {"sort", "COLUMN",
       "Sort by a column as the table or --csv names it, for example accuracy; -accuracy: highest first."},
      {"filter", "CONDITION",
       "Only runs for which it holds: state=finished, 'accuracy>=92%', 'cost<0.6', 'time>1h', 'optimizer.lr!=0.1' (=, "
       "!=, <, <=, >, >=). Shares are from 0 to 1, or per cent. May be repeated.",
       '\0', true},
      {"json", "", "Print JSON."}};
  for (const Flag& flag : table_flags()) program.flags.push_back(flag);
  program.notes = {
      "States: finished; running; stopped, by a signal or the time budget, to be continued; failed, by an error; "
      "killed.",
      "Exit codes: 0 done, 2 usage, or no run there, 6 environment."};
  return program;
}

/// A run that cannot be read is a row as well.
RunSummary read(const std::string& directory) try { return read_run(directory); } catch (const Error& error) {
  RunSummary run;
  run.directory = directory;
  run.state = RunSummary::State::kUnreadable;
  run.reason = error.what();
  return run;
}

int show(const CommandLine& line) {
  if (line.positional().empty())
    throw Error(ExitCode::kUsage, "command line: expected a directory with runs; see sluice-runs --help");
  const RecordFormat format = format_of(line);
  std::vector<RunSummary> runs;
  std::vector<std::string> closed;
  for (const std::string& directory : find_runs(line.positional(), closed)) runs.push_back(read(directory));
  for (const std::string& folder : closed) std::cerr << "warning: " << folder << "; it is left out\n";
  Records records = runs_table(runs);
  const std::string filter = "command line: --filter";
  const std::vector<std::string> conditions = line.values("filter");
  for (const std::string& condition : conditions) add_key_column(records, runs, column_of_condition(condition, filter));
  if (const auto key = line.value("sort")) add_key_column(records, runs, key->substr(starts_with(*key, "-") ? 1 : 0));
  for (const std::string& condition : conditions) filter_rows(records, condition, filter);
  if (const auto column = line.value("sort")) sort_rows(records, *column, "command line: --sort");
  if (records.rows.empty())
    std::cerr << "note: none of " << counted(static_cast<std::int64_t>(runs.size()), "run")
              << " is what --filter asks for\n";
  print_records(std::cout, records, format);
  if (format != RecordFormat::kTable) return 0;
  for (const std::vector<Cell>& row : records.rows) {
    for (const RunSummary& run : runs)
      if (run.directory == row.front().text && !run.reason.empty())
        std::cout << (starts_with(run.reason, run.directory) ? "" : run.directory + ": ") << run.reason << "\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-runs", describe, argc, argv, show);
}
