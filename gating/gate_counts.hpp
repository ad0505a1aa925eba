// How many gates of a layer are open: by the counts that every gated layer declares.
#pragma once

#include <cstdint>
#include <optional>

#include "core/graph/network.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// The layer's gates that are open, of all; nothing for a layer without gates.
std::optional<Ratio> open_gates(const Node& node, const std::int64_t* counts);

}  // namespace sluice
