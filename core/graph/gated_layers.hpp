// Layers that decide which of their outputs they compute in full (Role::kOpen), and what they forgot.
#pragma once

#include <string>
#include <vector>

#include "core/graph/executor.hpp"

namespace sluice {

/// Names of the gated layers, in the order of the nodes.
std::vector<std::string> gated_layers(const Network& network);

/// Those whose decisions `executor`, which was asked to record them, does not have.
std::vector<std::string> layers_without_decisions(const Network& network, const Executor& executor);

/// A warning for each that has counted no output after a run over images.
std::vector<std::string> uncounted_layers(const Network& network, const CountsByNode& counts);

/// Warns where a loss that the user asked for, in `section`, finds no parameters though the network has gated layers.
void warn_of_idle(const AuxiliaryLoss& loss, const Network& network, const Section& section, Diagnostics& diagnostics);

}  // namespace sluice
