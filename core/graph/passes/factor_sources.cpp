#include "core/graph/passes/factor_sources.hpp"

namespace sluice {
namespace {

/// The nodes that close channels of source 0 and of the result, -1: none. A result that is multiplied by factors has
/// them as its last node's.
struct Closers {
  int inputs = -1, outputs = -1;
};

Closers closers_of(const ExecutionPlan& plan, const PlannedOperation& op) {
  Closers closers;
  if (skipping_layer(plan, op) == nullptr) return closers;
  for (const ChannelProducts& products : plan.network->channel_products()) {
    if (products.node == op.nodes[0]) closers.inputs = products.closes_inputs;
  }
  closers.outputs = closing_node(plan.network->nodes(), plan.node(op.nodes.back()));
  return closers;
}

}  // namespace

const SkipsChannels* skipping_layer(const ExecutionPlan& plan, const PlannedOperation& op) {
  const ExecutorOptions& options = plan.options;
  const bool possible = options.skip && !plan.training() && options.type == DataType::kF32;
  return possible ? dynamic_cast<const SkipsChannels*>(op.layer) : nullptr;
}

std::vector<int> factor_nodes(const ExecutionPlan& plan, const PlannedOperation& op) {
  std::vector<int> nodes;
  const Closers closers = closers_of(plan, op);
  for (const int node : {closers.inputs, closers.outputs}) {
    if (node >= 0) nodes.push_back(node);
  }
  return nodes;
}

ChannelFactors channel_factors(const ExecutionPlan& plan, const PlannedOperation& op) {
  ChannelFactors factors;
  const Closers closers = closers_of(plan, op);
  int next = static_cast<int>(plan.own_node(op).src.size());
  if (closers.inputs >= 0) factors.inputs = next++;
  if (closers.outputs >= 0) factors.outputs = next;
  return factors;
}

}  // namespace sluice
