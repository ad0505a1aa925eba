// Until when the operations of an inference need the network's parameters.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph/execution_plan.hpp"

namespace sluice {

/// Of one operation: indices into its Context::param that it reads in forward as well.
std::vector<std::size_t> read_in_forward(const PlannedOperation& op);

/// By operation: no refresh of those before it reads what stands in the parameter arena from this element on, but for
/// what is read in forward. Of the first one it is the whole arena.
std::vector<std::int64_t> packed_from(const ExecutionPlan& plan);

}  // namespace sluice
