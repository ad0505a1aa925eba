#include "gating/gate_counts.hpp"

namespace sluice {

std::optional<Ratio> open_gates(const Node& node, const std::int64_t* counts) {
  const int open = find_role(node.declared.counts, Role::kOpen), all = find_role(node.declared.counts, Role::kTotal);
  if (open < 0 || all < 0) return std::nullopt;
  return Ratio{counts[open], counts[all]};
}

}  // namespace sluice
