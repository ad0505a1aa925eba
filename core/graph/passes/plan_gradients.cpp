// Which gradients are computed, and where several meet.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// Gradients of each tensor, one from each user.
using Terms = std::vector<std::vector<int>>;

bool tensor_needs_gradient(const ExecutionPlan& plan, int tensor) {
  const int producer = plan.tensor(tensor).producer;
  return producer >= 0 && plan.operations[static_cast<std::size_t>(producer)].needs_gradient;
}

bool needs_gradient(const ExecutionPlan& plan, const PlannedOperation& op) {
  const auto learns = [&](int node) { return !plan.node(node).params.empty(); };
  if (std::any_of(op.nodes.begin(), op.nodes.end(), learns)) return true;
  if (op.addend >= 0 && tensor_needs_gradient(plan, op.addend)) return true;
  return std::any_of(op.src.begin(), op.src.end(), [&](int s) { return tensor_needs_gradient(plan, s); });
}

int add_gradient(ExecutionPlan& plan, Terms& terms, int tensor) {
  if (!tensor_needs_gradient(plan, tensor)) return -1;
  const int gradient = plan.add_tensor(plan.tensor(tensor).desc, -1);
  terms.resize(plan.tensors.size());
  terms[static_cast<std::size_t>(tensor)].push_back(gradient);
  return gradient;
}

/// Users come first, so the gradient of op's result is complete when op's own turn has come.
void plan_gradients_of(ExecutionPlan& plan, Terms& terms, PlannedOperation& op) {
  const std::vector<int> own = terms[static_cast<std::size_t>(op.dst)];
  op.diff_src.assign(op.src.size(), -1);
  op.has_backward = op.needs_gradient && (op.declared.is_loss || !own.empty());
  if (!op.has_backward) return;
  op.diff_dst = own;
  const std::size_t taken = op.layer->sums_diff_dst() ? 2 : 1;
  if (own.size() > taken) {
    op.diff_dst_terms = own;
    op.diff_dst = {own[0]};
  }
  for (std::size_t k = 0; k < op.src.size(); ++k) op.diff_src[k] = add_gradient(plan, terms, op.src[k]);
  if (op.addend >= 0) op.diff_addend = add_gradient(plan, terms, op.addend);
}

}  // namespace

ExecutionPlan plan_gradients(ExecutionPlan plan) {
  if (!plan.training()) return plan;
  for (PlannedOperation& op : plan.operations) op.needs_gradient = needs_gradient(plan, op);
  Terms terms(plan.tensors.size());
  for (std::size_t i = plan.operations.size(); i-- > 0;) plan_gradients_of(plan, terms, plan.operations[i]);
  return plan;
}

}  // namespace sluice
