#include "gating/cost_target.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/graph/cost.hpp"
#include "core/graph/derived_metrics.hpp"
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

/// " (density 31.0 %)".
std::string reached(const Network& network, const CountsByNode& counts) {
  std::string text;
  for (const DerivedMetric& metric : said_once(derive_metrics(network, counts))) {
    const std::string& name = metric.type->name;
    text += concat(text.empty() ? "" : ", ", shown_name(name), " ", shown_text(name, metric.value));
  }
  return text.empty() ? text : concat(" (", text, ")");
}

bool decides_about_bits(const Network& network) {
  return std::any_of(network.nodes().begin(), network.nodes().end(), [](const Node& node) {
    const std::vector<CostTerm>& costs = node.declared.costs;
    return std::any_of(costs.begin(), costs.end(), [](const CostTerm& term) { return term.open >= 0 && term.refines; });
  });
}

}  // namespace

void CostTarget::describe(Keys& keys) {
  keys.optional(
      "cost_target", target_, between(0.0, 1.0),
      "form = cost: executed / dense multiply-adds of the whole network that training ends with on validation "
      "images (bit operations, with pg_conv); 0.25: 4 times fewer");
  keys.optional("cost_penalty", penalty_, at_least(0.0), "form = cost: strength of the pull");
  keys.optional("ramp_epochs", ramp_epochs_, at_least(0.0),
                "form = cost: the first epochs, over which what is wanted falls from 1 (all open) to cost_target");
  where_target_ = keys.where("cost_target");
  where_ramp_ = keys.where("ramp_epochs");
}

void CostTarget::bind(const Network& network) {
  applies_ = has_conditional_cost(network);
  bits_ = decides_about_bits(network);
  if (!applies_) return;
  const Cost least = least_cost(network);
  least_ = executed_of(least, bits_) / dense_of(least, bits_);
  if (least_ < target_) return;
  throw Error(ExitCode::kUsage, concat(where_target_, ": the network costs ", fixed(least_, 3),
                                       " with every gate closed, which is not below ", target_,
                                       "; raise cost_target, gate more layers, or leave less to what is always done"));
}

double CostTarget::ramp(double epochs) const {
  return epochs >= ramp_epochs_ ? target_ : 1.0 + (target_ - 1.0) * epochs / ramp_epochs_;
}

/// Of training batches.
double CostTarget::wanted(double epochs) const {
  const Comparison last = last_.value_or(Comparison());
  return std::clamp(ramp(epochs) + last.gap - last.missed, least_, 1.0);
}

double CostTarget::share(const Network& network, const CountsByNode& counts) const {
  const Cost cost = total(layer_costs(network, counts));
  return executed_of(cost, bits_) / dense_of(cost, bits_);
}

void CostTarget::compare(const Network& network, double epochs, const CountsByNode& evaluated,
                         const CountsByNode& trained) {
  constexpr double kPerEpoch = 0.3;  // slow enough for thresholds to follow, and for noise to even out
  Comparison now = last_.value_or(Comparison());
  const double share_evaluated = share(network, evaluated);
  const double passed = std::clamp(epochs - std::max(now.epochs, ramp_epochs_), 0.0, 1.0);
  now.epochs = epochs;
  now.gap = share(network, trained) - share_evaluated;
  now.missed += kPerEpoch * passed * (share_evaluated - target_);
  now.missed = std::clamp(now.missed, target_ + now.gap - 1.0, target_ + now.gap - least_);  // no more can be wanted
  last_ = now;
}

std::map<std::string, double> CostTarget::memory() const {
  if (!last_) return {};
  return {{"epochs", last_->epochs}, {"gap", last_->gap}, {"missed", last_->missed}};
}

void CostTarget::set_memory(const std::map<std::string, double>& memory) {
  last_.reset();
  if (memory.empty()) return;
  const auto value = [&](const char* name) {
    const auto found = memory.find(name);
    return found == memory.end() ? 0.0 : found->second;
  };
  last_ = {value("epochs"), value("gap"), value("missed")};
}

std::vector<std::string> CostTarget::advice_on_ramp(double epochs) const {
  if (!applies_ || penalty_ == 0 || epochs >= ramp_epochs_) return {};
  return {concat(where_ramp_, ": the training ends after ", epochs, " of ", ramp_epochs_, " epochs of the ramp, where ",
                 two_digits(ramp(epochs)), " of the cost is wanted, not cost_target = ", target_,
                 "; lower ramp_epochs to a part of train.epochs, or train longer")};
}

std::vector<std::string> CostTarget::advice_on_target(const Network& network, const AuxiliaryStep& last) const {
  constexpr double kNear = 0.02, kMostTimes = 99;
  if (!applies_ || penalty_ == 0 || last.counts.empty()) return {};
  const double executed = share(network, last.counts), miss = (executed - target_) / target_;
  if (std::abs(miss) <= kNear) return {};
  std::string text =
      concat("the network does ", share_text(executed), " of its ", bits_ ? "bit operations" : "multiply-adds",
             reached(network, last.counts), ", where [gating_loss] cost_target is ", target_);
  if (last.epochs < ramp_epochs_)
    return {concat(text, ": the training ended within the ramp of ", ramp_epochs_,
                   " epochs; lower ramp_epochs, or train on")};
  if (!last_)
    return {concat(text, ": training batches cost ", miss < 0 ? "more" : "less",
                   " than these images, or the pull was too ", miss < 0 ? "short" : "weak",
                   "; with images held out (data.validation) training allows for what they cost")};
  if (miss < 0)
    return {concat(text,
                   ": more is closed than was asked for; a longer training would bring it nearer, and sluice-eval "
                   "--shift shows what it is with lower thresholds")};
  // At rest the other losses pull as hard as 2 penalty (share - target): what is missed shrinks as the penalty grows.
  const double times = 2 * miss / kNear;
  const std::string penalty = times > kMostTimes ? concat("more than ", kMostTimes, " times as large")
                                                 : concat("of ", two_digits(times * penalty_));
  return {concat(text, ": the pull was too weak, or too short; a cost_penalty ", penalty, " (it was ", penalty_,
                 "), or a longer training, would bring it nearer")};
}

double CostTarget::forward(const Network& network, const AuxiliaryStep& step) const {
  const double distance = share(network, step.counts) - wanted(step.epochs);
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
