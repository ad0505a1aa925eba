#include "core/train/distilled_loss.hpp"

#include "core/train/loss_input.hpp"

namespace sluice {

DistilledLoss::DistilledLoss(Executor& executor, const Network& network)
    : executor_(executor),
      node_(loss_with_input(network, "soft_targets")),
      name_(network.nodes()[static_cast<std::size_t>(node_)].name) {}

void DistilledLoss::set(const float* logits, const double* weight, const double* temperature) {
  executor_.set_input(name_ + ":soft_targets", logits);
  executor_.set_input(name_ + ":soft_weight", weight);
  executor_.set_input(name_ + ":soft_temperature", temperature);
}

double DistilledLoss::divergence() const {
  return *executor_.result({node_, 1}).as<const double>();
}

}  // namespace sluice
