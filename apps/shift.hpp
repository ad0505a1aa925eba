// The knob that needs no training: thresholds that decide how much is computed, moved together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/graph/group_shift.hpp"
#include "core/report/records.hpp"

namespace sluice {

/// "-1:1:0.5" or one number: the amounts, in order. Throws Error(kUsage), named `where`.
std::vector<double> parse_shifts(const std::string& text, const std::string& where);

/// Moves all thresholds, the parameters of any layer's group `threshold`, for as long as the result lives. Throws
/// Error(kUsage) where the network has none.
std::unique_ptr<GroupShift> shift_thresholds(Network& network, double amount);

/// Evaluates a checkpoint once for each amount. Throws Error.
Records shift_curve(const std::string& file, const std::vector<std::string>& overrides, Split split,
                    const std::vector<double>& amounts);

}  // namespace sluice
