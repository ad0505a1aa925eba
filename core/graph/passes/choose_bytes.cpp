// Which results of inference lie in memory as bytes.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// Of all who read a result or add it: one refusal counts, else one wish. The answer is wanted in floats.
ByteWish readers_wish(const ExecutionPlan& plan, const NodeResult& result) {
  if (result == plan.network->answer()) return ByteWish::kNever;
  ByteWish wish = ByteWish::kTakes;
  for (const PlannedOperation& op : plan.operations) {
    const std::vector<NodeResult>& sources = plan.own_node(op).src;
    const bool reads = std::find(sources.begin(), sources.end(), result) != sources.end();
    if (!reads && op.addend_source != result) continue;
    ByteWish own = op.layer->byte_wish(plan.options.skip);
    for (int k = 0; reads && op.declared.like_src && k <= static_cast<int>(op.more_dst.size()); ++k)
      own = std::min(own, readers_wish(plan, {op.nodes.back(), k}));
    if (own == ByteWish::kNever) return own;
    wish = std::max(wish, own);
  }
  return wish;
}

/// What one level of an operation's first result stands for; 0 where it goes in floats, as further results do. (Numbers
/// below 0 have no level.)
float byte_step(const ExecutionPlan& plan, const PlannedOperation& op) {
  const int node = op.nodes.back();
  if (plan.shape_of(node).rank() != 4 || !plan.node(node).declared.nonnegative) return 0;
  const ByteWish own = op.layer->byte_wish(plan.options.skip), readers = readers_wish(plan, node);
  if (std::min(own, readers) == ByteWish::kNever || std::max(own, readers) != ByteWish::kMultiplies) return 0;
  double range = 0;
  for (const PlannedOperation& reader : plan.operations) {
    if (plan.own_node(reader).src[0] == node)
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
    const TensorDesc src = plan.tensor(op.src[0]).desc;
    dst.type = src.type;
    dst.step = src.step;
    for (std::size_t k = 0; k < op.more_dst.size(); ++k) {
      if (op.declared.more_dst[k].type) continue;
      TensorDesc& more = plan.tensor(op.more_dst[k]).desc;
      more.type = src.type;
      more.step = src.step;
    }
  }
  return plan;
}

}  // namespace sluice
