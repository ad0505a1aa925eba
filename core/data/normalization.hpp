// The normalisation of pixels: given in the configuration or measured over the training images.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.hpp"

namespace sluice {

/// value = (byte / 255 - mean[channel]) / std[channel].
struct Normalization {
  std::vector<double> mean;
  std::vector<double> std;
};

/// Mean and (population) standard deviation of every channel over all pixels, from integer counts, so that the order of
/// reading does not matter. The deviation is 0 where all pixels of a channel are equal. `check_stop` is called between
/// blocks of images.
Normalization measure_normalization(const Dataset& dataset, const StopCheck& check_stop = {});

/// What is known of a normalisation, one value for each channel.
struct KnownNormalization {
  std::optional<std::vector<double>> mean, std;
};

/// What `mean` and `std` say in numbers. Throws Error(kData) where the number of values is neither 1 nor the number of
/// channels.
KnownNormalization given_normalization(const DataOptions& options, std::int64_t channels);

/// What is known, for the rest what the options give, and what they leave to be measured over the set that `train`
/// opens. Throws Error(kData) as above, and where a measured deviation is 0.
Normalization make_normalization(const DataOptions& options, std::int64_t channels, const KnownNormalization& known,
                                 const std::function<std::shared_ptr<const Dataset>()>& train,
                                 const StopCheck& check_stop = {});

/// The same where nothing else is known and the training set is open.
Normalization make_normalization(const DataOptions& options, const Dataset& train, const StopCheck& check_stop = {});

/// Warnings about numbers on the scale of bytes.
std::vector<std::string> doubtful(const Normalization& normalization);
/// A warning where one of mean and std is given and the other is to be measured.
std::vector<std::string> half_given(const DataOptions& options);
/// "mean 0.49, 0.48, 0.45, std 0.2, 0.2, 0.2"; one number where the channels are alike.
std::string to_string(const Normalization& normalization);

/// Throws Error(kUsage) unless the words are `measure` or finite numbers (above zero where `positive`).
void check_normalization_text(const std::vector<std::string>& words, bool positive);

}  // namespace sluice
