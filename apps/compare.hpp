// sluice-eval with several checkpoints: one table.
#pragma once

#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/report/records.hpp"

namespace sluice {

/// Evaluates each checkpoint on its own images of the split, and with `time` measures them deployed on some of these,
/// in turn. Throws Error.
Records compare_networks(const std::vector<std::string>& files, const std::vector<std::string>& overrides, Split split,
                         bool time);

}  // namespace sluice
