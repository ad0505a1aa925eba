// Which gradients are computed, and where several meet.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// Gradients of each tensor, one from each user.
using Terms = std::vector<std::vector<int>>;

/// Numbers alone have gradients, not classes or positions.
bool tensor_needs_gradient(const ExecutionPlan& plan, int tensor) {
  const int producer = plan.tensor(tensor).producer;
  if (producer < 0 || !plan.operations[static_cast<std::size_t>(producer)].needs_gradient) return false;
  const DataType type = plan.tensor(tensor).desc.type;
  return type == DataType::kF32 || type == DataType::kBF16;
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

/// The gradients that a layer gets of a result with these terms: it takes so many, else the executor adds them up.
std::vector<int> gradients_of(PlannedOperation& op, const std::vector<int>& terms, std::size_t taken) {
  if (terms.size() <= taken) return terms;
  op.diff_dst_sums.push_back(terms);
  return {terms[0]};
}

/// Users come first, so the gradients of op's results are complete when op's own turn has come.
void plan_gradients_of(ExecutionPlan& plan, Terms& terms, PlannedOperation& op) {
  const auto terms_of = [&](int tensor) -> const std::vector<int>& { return terms[static_cast<std::size_t>(tensor)]; };
  const bool reached =
      std::any_of(op.more_dst.begin(), op.more_dst.end(), [&](int more) { return !terms_of(more).empty(); });
  op.diff_src.assign(op.src.size(), -1);
  op.has_backward = op.needs_gradient && (op.declared.is_loss || reached || !terms_of(op.dst).empty());
  if (!op.has_backward) return;
  op.diff_dst = gradients_of(op, terms_of(op.dst), op.layer->sums_diff_dst() && op.has_one_result() ? 2 : 1);
  if (op.diff_dst.empty() && !op.declared.is_loss) op.diff_dst = {-1};
  for (int more : op.more_dst) {
    const std::vector<int> gradient = gradients_of(op, terms_of(more), 1);
    op.more_diff_dst.push_back(gradient.empty() ? -1 : gradient[0]);
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
