#include "core/train/conditional_layers.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/graph/open_products.hpp"

namespace sluice {

bool is_conditional(const Node& node) {
  const std::vector<CostTerm>& costs = node.declared.costs;
  return std::any_of(costs.begin(), costs.end(), [](const CostTerm& term) { return term.open >= 0; });
}

namespace {

bool is_decided_here(const Node& node, const CostTerm& term) {
  return term.open >= 0 && node.declared.counts[static_cast<std::size_t>(term.open)].name != kOpenProducts;
}

}  // namespace

bool decides(const Node& node) {
  const std::vector<CostTerm>& costs = node.declared.costs;
  return std::any_of(costs.begin(), costs.end(), [&](const CostTerm& term) { return is_decided_here(node, term); });
}

double density_of(const Node& node, const std::vector<std::int64_t>& counts) {
  std::set<std::pair<int, int>> pairs;
  for (const CostTerm& term : node.declared.costs)
    if (is_decided_here(node, term)) pairs.emplace(term.open, term.total);
  std::int64_t open = 0, total = 0;
  for (const auto& [part, whole] : pairs) {
    open += counts[static_cast<std::size_t>(part)];
    total += counts[static_cast<std::size_t>(whole)];
  }
  return total > 0 ? static_cast<double>(open) / static_cast<double>(total) : std::nan("");
}

std::set<std::string> groups_of_conditional_layers(const Network& network) {
  std::set<std::string> groups, others;
  for (const Node& node : network.nodes()) {
    for (const int p : node.params)
      (decides(node) ? groups : others).insert(network.parameters()[static_cast<std::size_t>(p)].group);
  }
  for (const std::string& other : others) groups.erase(other);
  return groups;
}

}  // namespace sluice
