#include "gating/gate_counts.hpp"

#include <algorithm>

namespace sluice {

std::optional<Ratio> open_gates(const Node& node, const std::int64_t* counts) {
  const std::vector<std::string>& names = node.declared.counts;
  const auto open = std::find(names.begin(), names.end(), "open"), all = std::find(names.begin(), names.end(), "total");
  if (open == names.end() || all == names.end()) return std::nullopt;
  return Ratio{counts[open - names.begin()], counts[all - names.begin()]};
}

}  // namespace sluice
