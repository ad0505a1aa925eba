// Where the weights of a new run come from.
#pragma once

#include "core/train/experiment.hpp"
#include "core/train/known_data.hpp"
#include "core/train/log.hpp"

namespace sluice {

/// Puts the weights of train.init into the network, if it is set, and says so. Throws Error(kCheckpoint) where it is
/// not of this network, and Error(kData) where its classes are not those of the data. True where parameters are still
/// to be measured (Init::measured).
bool take_first_weights(const Experiment& experiment, Network& network, const TrainingData& data, Log& log);

}  // namespace sluice
