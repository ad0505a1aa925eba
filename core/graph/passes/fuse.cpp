// Which operations do the work of others on their way out.
#include <algorithm>

#include "core/graph/passes/factor_sources.hpp"
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

/// Puts the plan's operations together, one after the other.
class Fuser {
 public:
  explicit Fuser(const ExecutionPlan& plan) : plan_(plan), users_(plan.operations.size(), 0) {
    for (const Node& node : plan.network->nodes()) {
      for (const NodeResult& s : node.src) {
        if (!s.is_input()) ++users_[static_cast<std::size_t>(s.node)];
      }
    }
  }

  void add(PlannedOperation op) {
    const std::size_t host = find_host(plan_.own_node(op), op);
    group_of_.push_back(host);
    if (host == groups_.size()) {
      groups_.push_back(std::move(op));
      return;
    }
    PlannedOperation& group = groups_[host];
    group.nodes.push_back(op.nodes[0]);
    if (group.post_ops.size() > group.fused.size()) group.fused.push_back(op.layer);
  }

  /// A group runs when all sources of its last layer are there; its own earlier results are seen by nobody else.
  std::vector<PlannedOperation> groups() {
    std::stable_sort(groups_.begin(), groups_.end(), [](const PlannedOperation& a, const PlannedOperation& b) {
      return a.nodes.back() < b.nodes.back();
    });
    return std::move(groups_);
  }

 private:
  /// The group that takes a layer as a post-op, or the number of groups. What has several results does no post-ops and
  /// is none: others may read one of them before the last layer's sources are there.
  std::size_t find_host(const Node& node, const PlannedOperation& operation) {
    if (closing_node(plan_.network->nodes(), node) >= 0) return find_skipping_host(node);
    const std::optional<PostOp> op = operation.layer->as_post_op(plan_.options.mode);
    if (!op || !operation.has_one_result()) return groups_.size();
    const std::size_t candidates = op->kind == PostOp::Kind::kAdd ? 2 : 1;
    for (std::size_t k = 0; k < candidates; ++k) {
      const std::size_t g = group_before(node.src[k]);
      if (g == groups_.size()) continue;
      PlannedOperation& group = groups_[g];
      if (!group.layer->accepts(group.post_ops, *op, plan_.options.mode)) continue;
      group.post_ops.push_back(*op);
      if (op->kind == PostOp::Kind::kAdd) group.addend_source = node.src[1 - k];
      return g;
    }
    return groups_.size();
  }

  /// The group whose result is read there alone, and which may do more; or the number of groups. Nothing comes behind a
  /// product with decisions about channels, which is no post-op.
  std::size_t group_before(const NodeResult& source) const {
    if (source.is_input() || users_[static_cast<std::size_t>(source.node)] != 1) return groups_.size();
    const std::size_t g = group_of_[static_cast<std::size_t>(source.node)];
    const PlannedOperation& group = groups_[g];
    const bool goes_on = group.nodes.back() == source.node && group.nodes.size() == 1 + group.fused.size();
    return goes_on && group.has_one_result() ? g : groups_.size();
  }

  /// The group that need not compute what a layer multiplies by 0.
  std::size_t find_skipping_host(const Node& node) const {
    const std::size_t g = group_before(node.src[0]);
    return g < groups_.size() && skipping_layer(plan_, groups_[g]) != nullptr ? g : groups_.size();
  }

  const ExecutionPlan& plan_;
  std::vector<int> users_;  ///< of each node's result
  std::vector<PlannedOperation> groups_;
  std::vector<std::size_t> group_of_;  ///< by node
};

}  // namespace

ExecutionPlan fuse(ExecutionPlan plan) {
  Fuser fuser(plan);
  for (PlannedOperation& op : plan.operations) fuser.add(std::move(op));
  plan.operations = fuser.groups();
  return plan;
}

}  // namespace sluice
