// An operation for every node, and what the network reads.
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

TensorDesc given(const Shape& shape, DataType type) {
  return {shape, type, shape.rank() == 4 ? shape[kC] : 0};
}

}  // namespace

ExecutionPlan list_operations(const Network& network, const ExecutorOptions& options) {
  ExecutionPlan plan(network, options);
  plan.inputs.push_back({given(network.input_shape(options.batch), DataType::kF32), -1});
  plan.inputs.push_back({given(Shape{options.batch}, DataType::kS32), -1});
  for (const Node& node : network.nodes()) {
    PlannedOperation op;
    op.nodes = {static_cast<int>(plan.operations.size())};
    op.layer = node.layer.get();
    std::vector<Shape> src;
    for (const NodeResult& s : node.src) src.push_back(plan.shape_of(s));
    op.layer->infer(src, op.declared);
    plan.shapes.push_back({op.declared.dst});
    for (const ResultSpec& result : op.declared.more_dst) plan.shapes.back().push_back(result.shape);
    for (const InputSpec& input : op.declared.inputs) plan.inputs.push_back({given(input.shape, input.type), -1});
    plan.operations.push_back(std::move(op));
  }
  return plan;
}

}  // namespace sluice
