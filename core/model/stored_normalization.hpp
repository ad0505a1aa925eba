// The normalisation of a trained network's images where no data are at hand.
#pragma once

#include "core/model/trained_network.hpp"

namespace sluice {

/// As TrainedNetwork::normalization. Throws Error(kCheckpoint) where it would have to be measured.
Normalization normalization_without_data(const TrainedNetwork& trained, Warnings& warnings);

}  // namespace sluice
