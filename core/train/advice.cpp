#include "core/train/advice.hpp"

#include <algorithm>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/train/conditional_layers.hpp"

namespace sluice {
namespace {

/// "layer a (TYPE)", "layers a (TYPE), b (TYPE) and 7 more".
std::string named(const std::vector<const Node*>& nodes) {
  constexpr std::size_t kNamed = 4;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kNamed, nodes.size()); ++i)
    names.push_back(concat(nodes[i]->name, " (", nodes[i]->type, ")"));
  const std::string more = nodes.size() > kNamed ? concat(" and ", nodes.size() - kNamed, " more") : "";
  return concat(nodes.size() == 1 ? "layer " : "layers ", join(names), more);
}

/// Its decisions leave multiply-adds out, and not only bits of them.
bool leaves_out(const Node& node) {
  const std::vector<CostTerm>& costs = node.declared.costs;
  return std::any_of(costs.begin(), costs.end(),
                     [](const CostTerm& term) { return term.open >= 0 && !term.refines && term.macs > 0; });
}

}  // namespace

std::vector<std::string> advice_on_decay(const Network& network, const OptimizerOptions& options) {
  std::vector<std::string> advice;
  if (options.no_decay.empty()) return advice;  // all alike is as somebody wants it
  for (const std::string& group : groups_of_conditional_layers(network)) {
    if (contains(options.no_decay, group) || options.groups.count(group) > 0 || options.weight_decay == 0) continue;
    advice.push_back(concat("[optimizer] no_decay: weight decay pulls the parameters of group ", group,
                            ", by which layers decide what they compute, to 0; add ", group, " to it, or set [group.",
                            group, "] weight_decay"));
  }
  return advice;
}

std::vector<std::string> advice_on_min_delta(const EarlyStoppingOptions& options) {
  constexpr double kLarge = 0.05;
  if (!is_accuracy(options.metric) || options.min_delta < kLarge) return {};
  return {
      concat("[early_stopping] min_delta: accuracies are shares from 0 to 1, so that only an improvement by more than ",
             margin_text(options.metric, options.min_delta), " of the images counts; for ", options.min_delta,
             " % write ", options.min_delta / 100)};
}

std::vector<std::string> advice_on_validation(const EarlyStoppingOptions& options, const Dataset* validation) {
  if (validation != nullptr || !starts_with(options.metric, "val_")) return {};
  return {"no images are held out for validation: the best checkpoint is chosen on the test set; set data.validation"};
}

std::vector<std::string> advice_on_classes(const Network& network, const Dataset& dataset) {
  if (network.classes() <= dataset.num_classes()) return {};
  return {concat(dataset.name(), ": has ", dataset.num_classes(), " classes, the network tells ", network.classes(),
                 " apart; set the features of its last layer (define.classes in the shipped networks)")};
}

std::vector<std::string> advice_on_decisions(const Network& network, const CountsByNode& counts) {
  std::vector<const Node*> open, closed;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (!is_conditional(node)) continue;
    const double density = density_of(node, counts[i]);
    if (density == 1) open.push_back(&node);
    if (density == 0) closed.push_back(&node);
  }
  std::vector<std::string> advice;
  const auto add = [&](const std::vector<const Node*>& nodes, const char* text) {
    if (!nodes.empty()) advice.push_back(concat(named(nodes), nodes.size() == 1 ? " has" : " have", text));
  };
  add(open, " a density of 1: all is computed for every image, and deciding costs more than it saves");
  add(closed, " a density of 0: what is decided about is computed for no image");
  return advice;
}

std::vector<std::string> advice_on_skipping(const Network& network, const std::vector<OperationInfo>& operations) {
  std::vector<const Node*> whole;
  for (const OperationInfo& operation : operations) {
    const int index = network.find(operation.name);
    if (index < 0 || !operation.alternatives.empty()) continue;
    const Node& node = network.nodes()[static_cast<std::size_t>(index)];
    if (leaves_out(node)) whole.push_back(&node);
  }
  if (whole.empty()) return {};
  return {concat(named(whole), whole.size() == 1 ? " computes also what its" : " compute also what their",
                 " gates close: multiply-adds are saved in counts, not in time")};
}

}  // namespace sluice
