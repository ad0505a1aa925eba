// Where the weights of a new run come from.
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/restore.hpp"
#include "core/model/converted_weights.hpp"
#include "core/train/experiment.hpp"
#include "core/train/known_data.hpp"
#include "core/train/log.hpp"

namespace sluice {

/// Puts the weights of train.init into the network, if it is set, and says so. Throws Error(kCheckpoint) where it is
/// not of this network, and Error(kData) where its classes are not those of the data. True where parameters are still
/// to be measured (Init::measured).
bool take_first_weights(const Experiment& experiment, Network& network, const TrainingData& data, Log& log);

/// convert_weights of a network that was restored from a checkpoint of `other`, with that in the report.
std::vector<ConvertedLayer> convert_restored(const Network& other, Network& network, RestoreReport& report);

/// The first parameter that is to be measured (Init::measured) among those that no file gave, or null.
const Parameter* first_measured(const Network& network, const std::vector<std::string>& missing);

/// Measures such parameters, and the running statistics among `missing`, as a training does on its first batches of
/// these images. All else stays.
void measure_missing(Experiment& experiment, const TrainingData& data, const std::vector<std::string>& missing,
                     Log& log);

}  // namespace sluice
