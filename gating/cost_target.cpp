#include "gating/cost_target.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

double executed_of(const Cost& cost, bool bits) {
  return bits ? cost.bit_operations_executed : cost.macs_executed;
}

double dense_of(const Cost& cost, bool bits) {
  return bits ? cost.bit_operations_dense : cost.macs_dense;
}

/// With every gate closed.
Cost least_cost(const Network& network) {
  Cost cost;
  for (const Node& node : network.nodes()) {
    for (const CostTerm& term : node.declared.costs) add_term(cost, term, term.open < 0 ? 1.0 : 0.0);
  }
  return cost;
}

bool decides_about_bits(const Network& network) {
  return std::any_of(network.nodes().begin(), network.nodes().end(), [](const Node& node) {
    const std::vector<CostTerm>& costs = node.declared.costs;
    return std::any_of(costs.begin(), costs.end(), [](const CostTerm& term) { return term.open >= 0 && term.refines; });
  });
}

}  // namespace

void CostTarget::describe(Keys& keys) {
  keys.optional("cost_target", target_, between(0.0, 1.0),
                "form = cost: executed / dense multiply-adds of the whole network that training ends with (bit "
                "operations, with pg_conv); 0.25: 4 times fewer");
  keys.optional("cost_penalty", penalty_, at_least(0.0), "form = cost: strength of the pull");
  keys.optional("ramp_epochs", ramp_epochs_, at_least(0.0),
                "form = cost: the first epochs, over which what is wanted falls from 1 (all open) to cost_target");
  where_ = keys.where("cost_target");
}

void CostTarget::bind(const Network& network) {
  applies_ = has_conditional_cost(network);
  bits_ = decides_about_bits(network);
  const Cost least = least_cost(network);
  if (!applies_ || executed_of(least, bits_) < target_ * dense_of(least, bits_)) return;
  throw Error(ExitCode::kUsage,
              concat(where_, ": the network costs ", fixed(executed_of(least, bits_) / dense_of(least, bits_), 3),
                     " with every gate closed, which is not below ", target_,
                     "; raise cost_target, gate more layers, or leave less to what is always done"));
}

double CostTarget::wanted(double epochs) const {
  return epochs >= ramp_epochs_ ? target_ : 1.0 + (target_ - 1.0) * epochs / ramp_epochs_;
}

double CostTarget::forward(const Network& network, const AuxiliaryStep& step) const {
  const Cost cost = total(layer_costs(network, step.counts));
  const double distance = executed_of(cost, bits_) / dense_of(cost, bits_) - wanted(step.epochs);
  return penalty_ * distance * distance;
}

void CostTarget::backward(const Network& network, const AuxiliaryStep& step, CountGradients& diff_counts) const {
  const Cost cost = total(layer_costs(network, step.counts));
  const double distance = executed_of(cost, bits_) / dense_of(cost, bits_) - wanted(step.epochs);
  const double factor = 2 * penalty_ * distance / dense_of(cost, bits_);
  for (std::size_t v = 0; v < diff_counts.size(); ++v) {
    for (std::size_t k = 0; k < diff_counts[v].size(); ++k) {
      const Cost more = cost_of_one_more(network.nodes()[v], step.counts[v].data(), static_cast<int>(k));
      diff_counts[v][k] += factor * executed_of(more, bits_);
    }
  }
}

}  // namespace sluice
