#include "core/train/loss_input.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {

int loss_with_input(const Network& network, const std::string& input) {
  const auto& nodes = network.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) {
    return node.declared.is_loss && node.src[0] == network.answer();
  });
  if (found == nodes.end())
    throw Error(ExitCode::kUsage, "soft targets: the network has no loss; add one, such as softmax_cross_entropy");
  const auto& inputs = found->declared.inputs;
  if (std::none_of(inputs.begin(), inputs.end(), [&](const InputSpec& each) { return each.name == input; })) {
    throw Error(ExitCode::kUsage, concat(found->section.where("type"), ": the loss '", found->type,
                                         "' takes no soft targets; use one that does, such as softmax_cross_entropy"));
  }
  return static_cast<int>(found - nodes.begin());
}

}  // namespace sluice
