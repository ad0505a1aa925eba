#include "core/train/distilled_loss.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {
namespace {

bool takes_soft_targets(const Declarations& declared) {
  return std::any_of(declared.inputs.begin(), declared.inputs.end(),
                     [](const InputSpec& input) { return input.name == "soft_targets"; });
}

}  // namespace

DistilledLoss::DistilledLoss(Executor& executor, const Network& network) : executor_(executor) {
  const auto& nodes = network.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) {
    return node.declared.is_loss && node.src[0] == network.answer();
  });
  if (found == nodes.end())
    throw Error(ExitCode::kUsage, "soft targets: the network has no loss; add one, such as softmax_cross_entropy");
  if (!takes_soft_targets(found->declared)) {
    throw Error(ExitCode::kUsage, concat(found->section.where("type"), ": the loss '", found->type,
                                         "' takes no soft targets; use one that does, such as softmax_cross_entropy"));
  }
  node_ = static_cast<int>(found - nodes.begin());
  name_ = found->name;
}

void DistilledLoss::set(const float* logits, const double* weight, const double* temperature) {
  executor_.set_input(name_ + ":soft_targets", logits);
  executor_.set_input(name_ + ":soft_weight", weight);
  executor_.set_input(name_ + ":soft_temperature", temperature);
}

double DistilledLoss::divergence() const {
  return *executor_.result({node_, 1}).as<const double>();
}

}  // namespace sluice
