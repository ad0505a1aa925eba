// A tensor for every input and every result.
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

TensorDesc describe(const ExecutionPlan& plan, const Shape& shape, DataType type) {
  if (shape.rank() != 4) return {shape, type, 0};
  return {shape, type, plan.blocked && shape[kC] % 16 == 0 ? 16 : shape[kC]};
}

}  // namespace

ExecutionPlan make_tensors(ExecutionPlan plan) {
  plan.data = plan.add_tensor(describe(plan, plan.shape_of(kDataSource), plan.options.type), -1);
  plan.labels = plan.add_tensor({plan.shape_of(kLabelsSource), DataType::kS32, 0}, -1);
  plan.tensor_of_node.assign(plan.network->nodes().size(), -1);
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    PlannedOperation& op = plan.operations[i];
    for (int s : plan.own_node(op).src) op.src.push_back(plan.tensor_of(s));
    op.addend = plan.tensor_of(op.addend_node);
    DataType type = op.declared.dst_type.value_or(plan.options.type);
    if (op.declared.like_src) type = plan.tensor(op.src[0]).desc.type;
    op.dst = plan.add_tensor(describe(plan, plan.shape_of(op.nodes.back()), type), static_cast<int>(i));
    plan.tensor_of_node[static_cast<std::size_t>(op.nodes.back())] = op.dst;
  }
  return plan;
}

}  // namespace sluice
