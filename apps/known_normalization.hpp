// The normalisation of images that a trained network's file and the command line say, for those who hand it on.
#pragma once

#include <optional>

#include "core/model/trained_network.hpp"

namespace sluice {

/// Nothing where the configuration leaves it to be measured, and the checkpoint does not know it. Warnings go to
/// standard error.
std::optional<Normalization> known_normalization(const TrainedNetwork& trained);

}  // namespace sluice
