// Checks one group of a golden file. Both throw Error where the group cannot be read.
#pragma once

#include "core/checkpoint/hdf5.hpp"
#include "core/graph/registry.hpp"
#include "tests/golden_check/comparison.hpp"

namespace sluice {

/// A layer in training and evaluation: results, every gradient, gate counts, statistics after one step.
CaseReport check_layer(const Hdf5Group& group, const std::string& name, const Registry& registry);

/// A network: the first step's logits and gradients, three steps' losses, the state after them, its evaluation.
CaseReport check_network(const Hdf5Group& group, const std::string& name, const Registry& registry, bool winograd);

/// True for a network with layers that round to levels.
bool rounds_to_levels(const Hdf5Group& group);
/// True for the layout of networks.
bool is_network(const Hdf5Group& group);

/// Open and total of the gates of a network, summed over its layers; read from the counts that its cost terms name.
struct GateCounts {
  std::int64_t open = 0, total = 0;
  bool any = false;
};
class Executor;
class Network;
GateCounts gate_counts(const Network& network, const Executor& executor);

/// The text must build a network without complaint.
std::unique_ptr<Network> build_network(const std::string& ini, const Registry& registry);

}  // namespace sluice
