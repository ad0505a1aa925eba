// The network of another checkpoint, beside the one that is trained.
#pragma once

#include <memory>
#include <string>

#include "core/checkpoint/checkpoint.hpp"
#include "core/model/configured_network.hpp"

namespace sluice {

/// The network that a checkpoint describes, of the types in `registry`, without its weights. `where` leads messages of
/// the Error that says why there is none.
std::shared_ptr<ConfiguredNetwork> network_of(const Checkpoint& checkpoint, const Registry& registry,
                                              const std::string& where);

}  // namespace sluice
