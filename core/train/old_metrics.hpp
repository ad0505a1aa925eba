// Files of metrics of runs that began before accuracies were shares from 0 to 1.
#pragma once

#include <string>

#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

/// The first line of config.ini in run directories whose files of metrics hold shares. Without it they are per cent.
constexpr char kSharesMark[] = "# The accuracies of this run are shares from 0 to 1.\n";

/// Writes the accuracies of `history`, which are shares, over those in metrics.csv and metrics.jsonl, in rows of the
/// same step. Twice is as good as once. Throws Error(kEnvironment).
void replace_accuracies(const std::string& csv_path, const std::string& jsonl_path, const HistoryTable& history);

}  // namespace sluice
