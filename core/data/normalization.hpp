// The normalisation of pixels: given in the configuration or measured over the training images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

class Dataset;
struct DataOptions;

/// value = (byte / 255 - mean[channel]) / std[channel].
struct Normalization {
  std::vector<double> mean;
  std::vector<double> std;
};

/// Mean and (population) standard deviation of every channel over all pixels, from integer counts, so that the order of
/// reading does not matter. The deviation is 0 where all pixels of a channel are equal.
Normalization measure_normalization(const Dataset& dataset);

/// What `mean` and `std` say where both are numbers, one value for each channel; nothing where one is to be measured.
/// Throws Error(kData) where the number of values is neither 1 nor the number of channels.
std::optional<Normalization> given_normalization(const DataOptions& options, std::int64_t channels);

/// What `mean` and `std` say, one value for each channel; measures over `train` where they ask for it.
/// Throws Error(kData) where the number of values is neither 1 nor the number of channels, or a measured deviation is
/// 0.
Normalization make_normalization(const DataOptions& options, const Dataset& train);

/// Throws Error(kUsage) unless the words are `measure` or finite numbers (above zero where `positive`).
void check_normalization_text(const std::vector<std::string>& words, bool positive);

}  // namespace sluice
