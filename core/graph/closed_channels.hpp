// Products that nobody needs because a layer closes channels of an image (Declarations::closes_channels): in the layer
// whose result has them, and in the one that would read their zeros.
#pragma once

#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// Finds them in a complete network and declares their counts, by which their costs are done from then on. `nodes` are
/// the network's.
std::vector<ChannelProducts> count_channel_products(const Network& network, std::vector<Node>& nodes);

}  // namespace sluice
