#include "core/graph/parameter_use.hpp"

#include <algorithm>

namespace sluice {
namespace {

bool is_packed(const PlannedOperation& op, std::size_t param) {
  const std::vector<int>& packed = op.needs.packed_params;
  return std::find(packed.begin(), packed.end(), static_cast<int>(param)) != packed.end();
}

/// Where the first of the parameters stands that an operation packs, or that layers have which it does on the way out.
std::int64_t first_packed(const ExecutionPlan& plan, const PlannedOperation& op) {
  std::int64_t first = plan.network->parameter_count();
  for (const int node : op.nodes) {
    const std::vector<int>& params = plan.node(node).params;
    for (std::size_t k = 0; k < params.size(); ++k) {
      if (node == op.nodes[0] && !is_packed(op, k)) continue;
      first = std::min(first, plan.network->parameters()[static_cast<std::size_t>(params[k])].offset);
    }
  }
  return first;
}

}  // namespace

std::vector<std::size_t> read_in_forward(const PlannedOperation& op) {
  std::vector<std::size_t> read;
  for (std::size_t k = 0; k < op.declared.parameters.size(); ++k) {
    if (!is_packed(op, k)) read.push_back(k);
  }
  return read;
}

std::vector<std::int64_t> packed_before(const ExecutionPlan& plan) {
  std::vector<std::int64_t> before(plan.operations.size());
  std::int64_t first = plan.network->parameter_count();
  for (std::size_t i = plan.operations.size(); i-- > 0;) {
    before[i] = first;
    first = std::min(first, first_packed(plan, plan.operations[i]));
  }
  return before;
}

}  // namespace sluice
