#include "apps/compare.hpp"

#include <iostream>
#include <memory>

#include "apps/open_network.hpp"
#include "apps/time_in_turn.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/printable.hpp"
#include "core/base/units.hpp"
#include "core/report/network_table.hpp"
#include "core/train/benchmark.hpp"

namespace sluice {
namespace {

/// Says on standard error where they vary much.
void add_times(const std::vector<OpenNetwork*>& networks, std::vector<NetworkRow>& rows, Progress& progress) {
  const std::vector<NetworkTime> times = time_in_turn(networks, progress);
  std::vector<std::pair<std::string, double>> spreads;
  for (std::size_t i = 0; i < times.size(); ++i) {
    rows[i].milliseconds = times[i].milliseconds;
    rows[i].batch = times[i].batch;
    spreads.emplace_back(rows[i].subject.text, times[i].spread);
  }
  const std::string unquiet = unquiet_text("networks", spreads);
  if (!unquiet.empty()) std::cerr << "note: " << one_line(unquiet) << "\n";
}

}  // namespace

Records compare_networks(const std::vector<std::string>& files, const std::vector<std::string>& overrides, Split split,
                         bool time) {
  std::vector<std::unique_ptr<OpenNetwork>> kept;  // to be timed
  std::vector<OpenNetwork*> networks;
  std::vector<NetworkRow> rows;
  EvaluationProgress progress(files.size());
  for (const std::string& file : files) {
    progress.next(file);
    std::unique_ptr<OpenNetwork> opened = open_network(file, overrides, split);
    const Evaluation evaluation = opened->evaluate(progress);
    rows.push_back(network_row(text_cell(file), opened->network(), evaluation));
    rows.back().set = opened->images.dataset->name();
    rows.back().split = to_string(split);
    if (!time) continue;
    networks.push_back(opened.get());
    kept.push_back(std::move(opened));
  }
  if (time) add_times(networks, rows, progress.line());
  Records records = networks_table(
      {"checkpoint", "checkpoint", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCutsPaths}, rows);
  if (time) records.title += concat("; deployed and timed on ", counted(num_threads(), "thread"));
  return records;
}

}  // namespace sluice
