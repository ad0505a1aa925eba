#include "core/graph/cost.hpp"

#include <algorithm>
#include <limits>

#include "core/graph/network.hpp"

namespace sluice {
namespace {

double share_done(const CostTerm& term, const std::int64_t* counts) {
  if (term.open < 0 || counts == nullptr || counts[term.total] == 0) return 1.0;
  return static_cast<double>(counts[term.open]) / static_cast<double>(counts[term.total]);
}

template <class Predicate>
bool any_term(const Network& network, Predicate predicate) {
  return std::any_of(network.nodes().begin(), network.nodes().end(), [&](const Node& node) {
    return std::any_of(node.declared.costs.begin(), node.declared.costs.end(), predicate);
  });
}

}  // namespace

double Cost::flop_reduction() const {
  if (macs_executed > 0) return macs_dense / macs_executed;
  return macs_dense > 0 ? std::numeric_limits<double>::infinity() : 1.0;
}

double Cost::average_bits() const {
  return macs_executed > 0 ? activation_bits_executed / macs_executed : 0.0;
}

void add_term(Cost& cost, const CostTerm& term, double share) {
  const auto macs = static_cast<double>(term.macs), bit_operations = static_cast<double>(term.bit_operations());
  cost.macs_dense += term.refines ? 0 : macs;
  cost.macs_executed += term.refines ? 0 : macs * share;
  cost.bit_operations_dense += bit_operations;
  cost.bit_operations_executed += bit_operations * share;
  cost.activation_bits_executed += macs * term.activation_bits * share;
}

std::vector<Cost> layer_costs(const Network& network, const std::vector<std::vector<std::int64_t>>& counts) {
  std::vector<Cost> costs;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const std::int64_t* of_node = i < counts.size() && !counts[i].empty() ? counts[i].data() : nullptr;
    Cost cost;
    for (const CostTerm& term : network.nodes()[i].declared.costs) add_term(cost, term, share_done(term, of_node));
    costs.push_back(cost);
  }
  return costs;
}

Cost cost_of_one_more(const Node& node, const std::int64_t* counts, int open) {
  Cost cost;
  for (const CostTerm& term : node.declared.costs) {
    if (term.open == open && counts[term.total] != 0)
      add_term(cost, term, 1.0 / static_cast<double>(counts[term.total]));
  }
  return cost;
}

Cost total(const std::vector<Cost>& costs) {
  Cost sum;
  for (const Cost& cost : costs) {
    sum.macs_dense += cost.macs_dense;
    sum.macs_executed += cost.macs_executed;
    sum.bit_operations_dense += cost.bit_operations_dense;
    sum.bit_operations_executed += cost.bit_operations_executed;
    sum.activation_bits_executed += cost.activation_bits_executed;
  }
  return sum;
}

bool has_conditional_cost(const Network& network) {
  return any_term(network, [](const CostTerm& term) { return term.open >= 0; });
}

bool has_narrow_activations(const Network& network) {
  return any_term(network, [](const CostTerm& term) { return term.activation_bits < 32; });
}

}  // namespace sluice
