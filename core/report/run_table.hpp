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

/// Keeps the rows for which `NAME=VALUE` holds, or `!=`, `<`, `<=`, `>`, `>=`; numbers are compared as such. Throws
/// Error(kUsage), named `where`.
void filter_rows(Records& records, const std::string& condition, const std::string& where);

/// By the column `name`, as files or tables have it, from the highest down with a '-' before it; rows without a value
/// come last. Throws Error(kUsage), named `where`.
void sort_rows(Records& records, const std::string& name, const std::string& where);

}  // namespace sluice
