#include "core/train/mixed_loss.hpp"

#include <algorithm>

#include "core/train/loss_input.hpp"

namespace sluice {

MixedLoss::MixedLoss(Executor& executor, const Network& network)
    : classes_(network.classes()), shares_(static_cast<std::size_t>(executor.options().batch * classes_)) {
  const int node = loss_with_input(network, "shares");
  executor.set_input(network.nodes()[static_cast<std::size_t>(node)].name + ":shares", shares_.data());
}

void MixedLoss::set(const BatchPart& batch) {
  std::fill(shares_.begin(), shares_.end(), 0.0F);
  auto row = shares_.begin();
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const MixedLabel& label = batch.mixed[i];
    row[label.own] += label.share;
    row[label.other] += 1 - label.share;
    row += classes_;
  }
}

}  // namespace sluice
