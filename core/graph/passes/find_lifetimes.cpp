// When each tensor is read for the last time.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

void use(ExecutionPlan& plan, int tensor, int time) {
  if (tensor < 0) return;
  int& last = plan.tensor(tensor).last_use;
  last = std::max(last, time);
}

}  // namespace

ExecutionPlan find_lifetimes(ExecutionPlan plan) {
  const int end = 2 * static_cast<int>(plan.operations.size());
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const PlannedOperation& op = plan.operations[i];
    const int now = static_cast<int>(i), back = plan.backward_time(i);
    for (int s : op.src) {
      use(plan, s, now);
      if (op.has_backward && op.needs.backward_uses_src) use(plan, s, back);
    }
    use(plan, op.addend, now);
    std::vector<int> results = {op.dst};
    results.insert(results.end(), op.more_dst.begin(), op.more_dst.end());
    for (int result : results) {
      use(plan, result, now);
      if (op.has_backward && op.needs.backward_uses_dst) use(plan, result, back);
      if (op.declared.is_loss) use(plan, result, end);
    }
    for (int g : op.diff_dst) use(plan, g, back);
    for (int g : op.more_diff_dst) use(plan, g, back);
    for (const std::vector<int>& sum : op.diff_dst_sums) {
      for (int g : sum) use(plan, g, back);
    }
    for (int g : op.diff_src) use(plan, g, back);
    use(plan, op.diff_addend, back);
  }
  use(plan, plan.tensor_of(plan.network->answer()), end);
  for (const PlannedInput& input : plan.inputs) use(plan, input.tensor, end);  // a batch can be run again
  return plan;
}

}  // namespace sluice
