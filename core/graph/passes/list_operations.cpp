// An operation for every node.
#include "core/graph/passes/passes.hpp"

namespace sluice {

ExecutionPlan list_operations(const Network& network, const ExecutorOptions& options) {
  ExecutionPlan plan(network, options);
  for (const Node& node : network.nodes()) {
    PlannedOperation op;
    op.nodes = {static_cast<int>(plan.operations.size())};
    op.layer = node.layer.get();
    std::vector<Shape> src;
    for (int s : node.src) src.push_back(plan.shape_of(s));
    op.layer->infer(src, op.declared);
    plan.shapes.push_back(op.declared.dst);
    plan.operations.push_back(std::move(op));
  }
  return plan;
}

}  // namespace sluice
