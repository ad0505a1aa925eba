// Which results of inference lie in memory in the levels that their only reader would round them to: the same numbers
// for it, in a quarter of the bytes.
#include <algorithm>

#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// The node that alone reads a result, as its first source, once; -1 where there is none, or the result is added to
/// another.
int only_reader(const ExecutionPlan& plan, const NodeResult& result) {
  int reader = -1;
  for (const PlannedOperation& op : plan.operations) {
    const std::vector<NodeResult>& sources = plan.own_node(op).src;
    const auto reads = std::count(sources.begin(), sources.end(), result);
    if (op.addend_source == result) return -1;
    if (reads == 0) continue;
    if (reads > 1 || sources[0] != result || reader >= 0) return -1;
    reader = op.nodes[0];
  }
  return reader;
}

/// What one of the levels stands for that a node reads; 0 where it reads none, or their scale is not known.
float unit_of(const ExecutionPlan& plan, const Node& node) {
  const std::optional<SourceLevels>& levels = node.declared.src_levels;
  if (!levels) return 0;
  const auto buffer = static_cast<std::size_t>(node.buffers[static_cast<std::size_t>(levels->buffer)]);
  const float scale = plan.network->buffer_data()[plan.network->buffers()[buffer].offset];
  return scale > 0 ? scale / static_cast<float>(levels->count) : 0.0F;
}

}  // namespace

ExecutionPlan choose_levels(ExecutionPlan plan) {
  const bool possible = plan.options.skip && !plan.training() && plan.options.type == DataType::kF32;
  if (!possible) return plan;
  for (PlannedOperation& op : plan.operations) {
    const int last = op.nodes.back();
    TensorDesc& dst = plan.tensor(op.dst).desc;
    const bool fits = op.declared.dst_levels && op.has_one_result() && plan.node(last).declared.nonnegative &&
                      dst.type == DataType::kF32 && plan.network->answer() != last;
    const int reader = fits ? only_reader(plan, last) : -1;
    const float unit = reader >= 0 ? unit_of(plan, plan.node(reader)) : 0.0F;
    if (!(unit > 0)) continue;
    dst.type = DataType::kU8;
    dst.scale = unit;
    op.levels_of = reader;
  }
  return plan;
}

}  // namespace sluice
