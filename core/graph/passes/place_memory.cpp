// Where each tensor and each saved slot lies.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

void request(ExecutionPlan& plan, int tensor, int first) {
  if (tensor < 0) return;
  PlannedTensor& t = plan.tensor(tensor);
  if (t.request < 0) t.request = plan.memory.add(t.desc.bytes(), first, std::max(first, t.last_use));
}

/// The result takes over a tensor's memory when nobody reads that afterwards and the sizes agree.
bool take_over(ExecutionPlan& plan, int tensor, int result, int now) {
  const PlannedTensor& from = plan.tensor(tensor);
  PlannedTensor& dst = plan.tensor(result);
  if (from.producer < 0 || from.last_use > now || from.desc.bytes() != dst.desc.bytes()) return false;
  dst.request = from.request;
  plan.memory.extend(dst.request, dst.last_use);
  return true;
}

bool take_over_addend(ExecutionPlan& plan, const PlannedOperation& op, int now) {
  if (op.addend < 0 || !op.needs.dst_starts_as_addend) return false;
  if (std::find(op.src.begin(), op.src.end(), op.addend) != op.src.end()) return false;  // the layer reads it too
  return take_over(plan, op.addend, op.dst, now);
}

bool take_over_src(ExecutionPlan& plan, const PlannedOperation& op, int now) {
  return op.needs.dst_may_overwrite_src && take_over(plan, op.src[0], op.dst, now);
}

}  // namespace

ExecutionPlan place_memory(ExecutionPlan plan) {
  for (const PlannedInput& input : plan.inputs) {
    if (!(plan.tensor(input.tensor).desc == input.given)) request(plan, input.tensor, -1);
  }
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    PlannedOperation& op = plan.operations[i];
    const int now = static_cast<int>(i), back = plan.backward_time(i);
    if (!take_over_addend(plan, op, now) && !take_over_src(plan, op, now)) request(plan, op.dst, now);
    for (int more : op.more_dst) request(plan, more, now);
    for (std::int64_t bytes : op.needs.slots.saved_bytes())
      op.saved_requests.push_back(plan.memory.add(bytes, now, op.has_backward ? back : now));
    for (int g : op.diff_src) request(plan, g, back);
    request(plan, op.diff_addend, back);
  }
  plan.memory.place();
  return plan;
}

}  // namespace sluice
