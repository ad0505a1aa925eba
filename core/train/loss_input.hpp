// Which loss of a network takes soft targets.
#pragma once

#include <string>

#include "core/graph/network.hpp"

namespace sluice {

/// The first loss over the network's answer: the index of its node. Throws Error(kUsage) where there is no loss, or it
/// does not declare this input.
int loss_with_input(const Network& network, const std::string& input);

}  // namespace sluice
