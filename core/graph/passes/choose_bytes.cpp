// Which results of inference lie in memory as bytes.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

const std::vector<int>& source_nodes(const ExecutionPlan& plan, const PlannedOperation& op) {
  return plan.own_node(op).src;
}

/// Of all who read a node's result or add it: one refusal counts, else one wish. The answer is wanted in floats.
ByteWish readers_wish(const ExecutionPlan& plan, int node) {
  if (node == plan.network->output_node()) return ByteWish::kNever;
  ByteWish wish = ByteWish::kTakes;
  for (const PlannedOperation& op : plan.operations) {
    const std::vector<int>& sources = source_nodes(plan, op);
    const bool reads = std::find(sources.begin(), sources.end(), node) != sources.end();
    if (!reads && op.addend_node != node) continue;
    ByteWish own = op.layer->byte_wish(plan.options.skip);
    if (reads && op.declared.like_src) own = std::min(own, readers_wish(plan, op.nodes.back()));
    if (own == ByteWish::kNever) return own;
    wish = std::max(wish, own);
  }
  return wish;
}

/// What one level of an operation's result stands for; 0 where it goes in floats. (Numbers below 0 have no level.)
float byte_step(const ExecutionPlan& plan, const PlannedOperation& op) {
  const int node = op.nodes.back();
  if (plan.shape_of(node).rank() != 4 || !plan.node(node).declared.nonnegative) return 0;
  const ByteWish own = op.layer->byte_wish(plan.options.skip), readers = readers_wish(plan, node);
  if (std::min(own, readers) == ByteWish::kNever || std::max(own, readers) != ByteWish::kMultiplies) return 0;
  double range = 0;
  for (const PlannedOperation& reader : plan.operations) {
    if (source_nodes(plan, reader)[0] == node)
      range = std::max(range, plan.network->source_range(plan.own_node(reader).name));
  }
  return static_cast<float>(range / kMostByteLevel);
}

}  // namespace

ExecutionPlan choose_bytes(ExecutionPlan plan) {
  const bool possible = plan.options.bytes && !plan.training() && plan.options.type == DataType::kF32 && !plan.blocked;
  if (!possible) return plan;
  for (const PlannedOperation& op : plan.operations) {
    TensorDesc& dst = plan.tensor(op.dst).desc;
    const float step = byte_step(plan, op);
    if (step > 0) {
      dst.type = DataType::kU8;
      dst.step = step;
    }
    if (!op.declared.like_src) continue;
    const TensorDesc& src = plan.tensor(op.src[0]).desc;
    dst.type = src.type;
    dst.step = src.step;
  }
  return plan;
}

}  // namespace sluice
