// How programs come to an experiment: layer types, plug-ins, and the configuration from files or from a checkpoint.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// Registers the standard layers and the plug-ins that are part of Sluice.
void register_all(Registry& registry);

/// Every section and key, for --help.
void print_keys(std::ostream& out);

/// Reads configuration files with overrides, loads the plug-ins they name, and checks everything.
Experiment load_experiment(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
                           Registry& registry);

/// The experiment that a checkpoint was written by, with overrides. Plug-ins are loaded only where an override names
/// them: a file from elsewhere must not run code.
Experiment experiment_of(const Checkpoint& checkpoint, const std::vector<std::string>& overrides, Registry& registry);

/// What experiment_of does with the weights put into the network.
Experiment load_trained(const Checkpoint& checkpoint, const std::vector<std::string>& overrides, Registry& registry);

/// The file is an HDF5 checkpoint rather than a configuration, by its name.
bool is_checkpoint_name(const std::string& path);

}  // namespace sluice
