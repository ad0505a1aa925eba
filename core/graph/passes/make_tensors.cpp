// A tensor for every input and every result.
#include "core/graph/passes/factor_sources.hpp"
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

TensorDesc describe(const ExecutionPlan& plan, const Shape& shape, DataType type) {
  if (shape.rank() != 4) return {shape, type, 0};
  return {shape, type, plan.blocked && shape[kC] % 16 == 0 ? 16 : shape[kC]};
}

}  // namespace

ExecutionPlan make_tensors(ExecutionPlan plan) {
  for (PlannedInput& input : plan.inputs) input.tensor = plan.add_tensor(input.given, -1);
  plan.tensor(plan.tensor_of(kDataSource)).desc = describe(plan, plan.shape_of(kDataSource), plan.options.type);
  for (const std::vector<Shape>& results : plan.shapes) plan.result_tensors.emplace_back(results.size(), -1);
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    PlannedOperation& op = plan.operations[i];
    for (const NodeResult& s : plan.own_node(op).src) op.src.push_back(plan.tensor_of(s));
    for (int closer : factor_nodes(plan, op)) op.src.push_back(plan.tensor_of(closer));
    for (int input : plan.own_node(op).inputs) op.inputs.push_back(plan.tensor_of(-1 - input));
    if (op.addend_source) op.addend = plan.tensor_of(*op.addend_source);
    const DataType type = op.declared.like_src ? plan.tensor(op.src[0]).desc.type : plan.options.type;
    const auto add = [&](const NodeResult& result, std::optional<DataType> own) {
      const TensorDesc desc = describe(plan, plan.shape_of(result), own.value_or(type));
      return plan.add_tensor(desc, static_cast<int>(i));
    };
    const int node = op.nodes.back();
    std::vector<int>& tensors = plan.result_tensors[static_cast<std::size_t>(node)];
    op.dst = tensors[0] = add(node, op.declared.like_src ? std::nullopt : op.declared.dst_type);
    for (std::size_t k = 0; k < op.declared.more_dst.size(); ++k) {
      tensors[k + 1] = add({node, static_cast<int>(k) + 1}, op.declared.more_dst[k].type);
      op.more_dst.push_back(tensors[k + 1]);
    }
  }
  return plan;
}

}  // namespace sluice
