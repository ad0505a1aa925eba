#include "core/graph/cost.hpp"

#include "core/graph/network.hpp"

namespace sluice {
namespace {

double share_done(const CostTerm& term, const std::int64_t* counts) {
  if (term.open < 0 || counts == nullptr || counts[term.total] == 0) return 1.0;
  return static_cast<double>(counts[term.open]) / static_cast<double>(counts[term.total]);
}

}  // namespace

std::vector<Cost> layer_costs(const Network& network, const std::vector<std::vector<std::int64_t>>& counts) {
  std::vector<Cost> costs;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const std::int64_t* of_node = i < counts.size() && !counts[i].empty() ? counts[i].data() : nullptr;
    Cost cost;
    for (const CostTerm& term : network.nodes()[i].declared.costs) {
      const double share = share_done(term, of_node);
      cost.macs_dense += static_cast<double>(term.macs);
      cost.macs_executed += static_cast<double>(term.macs) * share;
      cost.bit_operations_dense += static_cast<double>(term.bit_operations);
      cost.bit_operations_executed += static_cast<double>(term.bit_operations) * share;
    }
    costs.push_back(cost);
  }
  return costs;
}

Cost total(const std::vector<Cost>& costs) {
  Cost sum;
  for (const Cost& cost : costs) {
    sum.macs_dense += cost.macs_dense;
    sum.macs_executed += cost.macs_executed;
    sum.bit_operations_dense += cost.bit_operations_dense;
    sum.bit_operations_executed += cost.bit_operations_executed;
  }
  return sum;
}

}  // namespace sluice
