// What sluice-train --find-lr is told, and how it answers.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "core/base/output.hpp"
#include "core/config/command_line.hpp"
#include "core/train/lr_finder.hpp"

namespace sluice {

/// Throws Error(kUsage) where flags do not go together.
void check_find_lr(const CommandLine& line);
/// Throws Error(kUsage).
LrSweepOptions sweep_options(const CommandLine& line);

/// The loss over the rates as a curve, and a suggestion with its rule.
void print_sweep(std::ostream& out, const LrSweep& sweep, const LrSweepOptions& options, const Experiment& experiment,
                 int width);
/// As CSV: lr, loss, smoothed.
std::string table_of(const LrSweep& sweep);
/// Where the table is to go, if anywhere. Throws as Output does.
std::optional<Output> sweep_output(const CommandLine& line, Experiment& experiment);

}  // namespace sluice
