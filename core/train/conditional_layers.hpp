// Layers whose work depends on their images: how much of it was done, and by what they decide.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// Some of the layer's cost depends on its counts.
bool is_conditional(const Node& node);

/// It depends on decisions of its own, and not only on those of a neighbour that closes channels.
bool decides(const Node& node);

/// The share that was done of what a layer decides about, each decision once; NaN before the first, and where it
/// decides nothing. `counts` are the layer's.
double density_of(const Node& node, const std::vector<std::int64_t>& counts);

/// Groups of parameters that no other layer has: by them such layers decide.
std::set<std::string> groups_of_conditional_layers(const Network& network);

}  // namespace sluice
