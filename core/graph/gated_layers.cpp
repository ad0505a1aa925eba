#include "core/graph/gated_layers.hpp"

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// Calls body(index, node) for every gated one.
template <class Body>
void for_each_gated(const Network& network, const Body& body) {
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (find_role(node.declared.counts, Role::kOpen) >= 0) body(i, node);
  }
}

}  // namespace

std::vector<std::string> gated_layers(const Network& network) {
  std::vector<std::string> names;
  for_each_gated(network, [&](std::size_t, const Node& node) { names.push_back(node.name); });
  return names;
}

std::vector<std::string> layers_without_decisions(const Network& network, const Executor& executor) {
  std::vector<std::string> names;
  for_each_gated(network, [&](std::size_t i, const Node& node) {
    if (executor.decisions(static_cast<int>(i)) == nullptr) names.push_back(node.name);
  });
  return names;
}

std::vector<std::string> uncounted_layers(const Network& network, const CountsByNode& counts) {
  std::vector<std::string> warnings;
  for_each_gated(network, [&](std::size_t i, const Node& node) {
    const int total = find_role(node.declared.counts, Role::kTotal);
    if (counts[i][static_cast<std::size_t>(total)] != 0) return;
    warnings.push_back(concat("layer ", node.name, " (", node.type,
                              ") has counted no output: its density and cost are unknown, and all of it is taken to be "
                              "done; forward has to add to Context::counts"));
  });
  return warnings;
}

void warn_of_idle(const AuxiliaryLoss& loss, const Network& network, const Section& section, Diagnostics& diagnostics) {
  const std::vector<std::string> gated = gated_layers(network);
  if (loss.applies() || gated.empty()) return;
  diagnostics.warning(concat(to_string(section.source()), ": [", section.name(),
                             "]: has no effect: no layer has parameters that it moves, though there are gated ones (",
                             join(gated), "); it finds them by their group, such as 'threshold'"));
}

}  // namespace sluice
