#include "core/graph/parameter_use.hpp"

#include <algorithm>

namespace sluice {
namespace {

bool is_packed(const PlannedOperation& op, std::size_t param) {
  const std::vector<int>& packed = op.needs.packed_params;
  return std::find(packed.begin(), packed.end(), static_cast<int>(param)) != packed.end();
}

/// Where the last of the parameters ends that an operation packs, or that layers have which it does on the way out.
std::int64_t end_of_packed(const ExecutionPlan& plan, const PlannedOperation& op) {
  std::int64_t end = 0;
  for (const int node : op.nodes) {
    const std::vector<int>& params = plan.node(node).params;
    for (std::size_t k = 0; k < params.size(); ++k) {
      if (node == op.nodes[0] && !is_packed(op, k)) continue;
      const Parameter& parameter = plan.network->parameters()[static_cast<std::size_t>(params[k])];
      end = std::max(end, parameter.offset + parameter.shape.count());
    }
  }
  return end;
}

}  // namespace

std::vector<std::size_t> read_in_forward(const PlannedOperation& op) {
  std::vector<std::size_t> read;
  for (std::size_t k = 0; k < op.declared.parameters.size(); ++k) {
    if (!is_packed(op, k)) read.push_back(k);
  }
  return read;
}

std::vector<std::int64_t> packed_from(const ExecutionPlan& plan) {
  std::vector<std::int64_t> from;
  std::int64_t end = 0;
  for (const PlannedOperation& op : plan.operations) {
    from.push_back(end);
    end = std::max(end, end_of_packed(plan, op));
  }
  return from;
}

}  // namespace sluice
