// Several runs side by side: what differs between their configurations, and what came of it.
#pragma once

#include <string>
#include <vector>

#include "core/report/records.hpp"
#include "core/report/run_summary.hpp"

namespace sluice {

/// A key that not all configurations agree about, "optimizer.lr", and its value in each; "" where it is absent. What
/// the layers of networks do not share is one difference for each key: "layer.*.type".
struct Difference {
  std::string key;
  std::vector<std::string> values;
};

/// Differences without those that no result depends on (KeyRole::kNothing), in the order of the files. Numbers that are
/// written differently are equal.
std::vector<Difference> differences(const std::vector<RunSummary>& runs);

/// A row for each run: run, state, epochs done and asked for, the best epoch with all metrics of its evaluation that
/// are of the whole network, hours of training, images per second; and what differs, as far as there is room.
Records runs_table(const std::vector<RunSummary>& runs);

/// Adds a column, of files alone, with the values of a key that has none, "optimizer.lr": all runs agree about it. The
/// rows are those of runs_table(). Does nothing where there is one, or no run has the key.
void add_key_column(Records& records, const std::vector<RunSummary>& runs, const std::string& key);

}  // namespace sluice
