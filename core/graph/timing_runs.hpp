// How often the functions of core/graph/kernel_choice.hpp call what they time: for whoever shows how far they are.
#pragma once

#include <cstdint>

#include "core/graph/executor.hpp"

namespace sluice {

/// choose_fastest calls `run`.
std::int64_t runs_to_choose(const Executor& executor, int rounds);
/// time_operations calls `run`.
std::int64_t runs_to_time(int rounds);

}  // namespace sluice
