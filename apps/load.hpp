// How programs come to an experiment: layer types, plug-ins, and the configuration from files or from a checkpoint.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/config/command_line.hpp"
#include "core/data/dataset.hpp"
#include "core/data/normalization.hpp"
#include "core/model/trained_network.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// Every section and key, and metrics, for --help.
std::string key_documentation();
/// Sections that only training reads.
std::vector<std::string> training_sections();

/// The names of all keys of sections that everybody has: "train.epochs".
std::vector<std::string> key_names();

/// Reads configuration files with overrides, loads the plug-ins they name, and checks everything.
Experiment load_experiment(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
                           Registry& registry);

/// A trained network with the experiment that it comes from.
struct Trained {
  Checkpoint checkpoint;  ///< without values: they are in the network
  std::shared_ptr<Experiment> experiment;
  TrainedNetwork network;
};
/// Reads a checkpoint and its experiment, with overrides; threads and what else belongs to the machine are those of the
/// call. Plug-ins are loaded only where an override names them: a file from elsewhere must not run code.
Trained load_trained(const std::string& path, const std::vector<std::string>& overrides, Registry& registry);

/// Starts the threads that `[run] threads` wants; says on standard error where there are fewer.
void start_threads(const Experiment& experiment);

/// Says on standard error where layers lack what training measures.
void note_unmeasured(const TrainedNetwork& trained);

/// Says on standard error where the kernels of a deployed file were chosen for other instructions, another number of
/// threads or batches of another size than there are now.
void note_foreign_kernels(const Trained& trained);

/// The split that a flag names, if it is there. Throws Error(kUsage) for another word.
std::optional<Split> split_of(const CommandLine& line, const std::string& flag);

/// What a trained network is run on.
struct KnownImages {
  std::shared_ptr<const Dataset> dataset;
  Normalization normalization;
};
/// Opens a set and, unless it is chosen already, chooses its normalisation (TrainedNetwork::normalization); warnings go
/// to standard error. `flag` is the one that names the split.
KnownImages open_images(const Trained& trained, Split split, const std::string& flag,
                        const Normalization* chosen = nullptr);

/// Of each class of the network: the set's name, or its number.
std::vector<std::string> class_names(const Dataset& dataset, const Network& network);

/// The file is an HDF5 checkpoint rather than a configuration, by its name.
bool is_checkpoint_name(const std::string& path);

}  // namespace sluice
