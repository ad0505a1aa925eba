// Which results of inference lie in memory in int8.
#include <algorithm>

#include "core/graph/channel_factors.hpp"
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// Of all who read a result or add it: one refusal counts, else one wish. The answer is wanted in floats.
Int8Wish readers_wish(const ExecutionPlan& plan, const NodeResult& result) {
  if (result == plan.network->answer()) return Int8Wish::kNever;
  Int8Wish wish = Int8Wish::kTakes;
  for (const PlannedOperation& op : plan.operations) {
    const std::vector<NodeResult>& sources = plan.own_node(op).src;
    const bool reads = std::find(sources.begin(), sources.end(), result) != sources.end();
    if (!reads && op.addend_source != result) continue;
    Int8Wish own = op.layer->int8_wish(plan.options.skip);
    for (int k = 0; reads && op.declared.like_src && k <= static_cast<int>(op.more_dst.size()); ++k)
      own = std::min(own, readers_wish(plan, {op.nodes.back(), k}));
    if (own == Int8Wish::kNever) return own;
    wish = std::max(wish, own);
  }
  return wish;
}

/// What one level of an operation's first result stands for; 0 where it goes in floats, as further results do, and what
/// is multiplied by decisions about channels. (Numbers below 0 have no level.)
float result_scale(const ExecutionPlan& plan, const PlannedOperation& op) {
  const int node = op.nodes.back();
  if (plan.shape_of(node).rank() != 4 || !plan.node(node).declared.nonnegative) return 0;
  if (closing_node(plan.network->nodes(), plan.node(node)) >= 0) return 0;
  const Int8Wish own = op.layer->int8_wish(plan.options.skip), readers = readers_wish(plan, node);
  if (std::min(own, readers) == Int8Wish::kNever || std::max(own, readers) != Int8Wish::kMultiplies) return 0;
  double range = 0;
  for (const PlannedOperation& reader : plan.operations) {
    if (plan.own_node(reader).src[0] == node)
      range = std::max(range, plan.network->calibration().range(plan.own_node(reader).name));
  }
  return static_cast<float>(range / kMostInt8Level);
}

}  // namespace

ExecutionPlan choose_int8(ExecutionPlan plan) {
  const bool possible = plan.options.int8 && !plan.training() && plan.options.type == DataType::kF32 && !plan.blocked;
  if (!possible) return plan;
  for (const PlannedOperation& op : plan.operations) {
    TensorDesc& dst = plan.tensor(op.dst).desc;
    const float scale = result_scale(plan, op);
    if (scale > 0) {
      dst.type = DataType::kU8;
      dst.scale = scale;
    }
    if (!op.declared.like_src) continue;
    const TensorDesc src = plan.tensor(op.src[0]).desc;
    dst.type = src.type;
    dst.scale = src.scale;
    for (std::size_t k = 0; k < op.more_dst.size(); ++k) {
      if (op.declared.more_dst[k].type) continue;
      TensorDesc& more = plan.tensor(op.more_dst[k]).desc;
      more.type = src.type;
      more.scale = src.scale;
    }
  }
  return plan;
}

}  // namespace sluice
