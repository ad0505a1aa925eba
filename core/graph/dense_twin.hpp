// The network that a conditional one is compared with: the same layers, each computing all of its result.
#pragma once

#include "core/config/config.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// The layers of a network that was built, and its [network] section, with every layer whose type has a dense one
/// (Registry::add_dense_type) replaced by that. Keys that the dense type lacks are left out; names and sources stay.
Config dense_twin(const Config& config, const Registry& registry);

/// Whether any layer of the network that `config` declares has a dense type.
bool has_dense_twin(const Config& config, const Registry& registry);

}  // namespace sluice
