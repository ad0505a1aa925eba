#include "core/data/normalization.hpp"

#include <charconv>
#include <cmath>

#include "core/base/error.hpp"
#include "core/data/dataset.hpp"
#include "core/data/options.hpp"

namespace sluice {

namespace {

bool asks_to_measure(const std::vector<std::string>& words) {
  return words.size() == 1 && words[0] == "measure";
}

std::vector<double> parse_numbers(const std::vector<std::string>& words, bool positive) {
  const char* const allowed = positive ? "numbers above zero or 'measure'" : "numbers or 'measure'";
  if (words.empty()) throw Error(ExitCode::kUsage, concat("expected ", allowed, ", got nothing"));
  std::vector<double> numbers;
  for (const std::string& word : words) {
    double value = 0;
    const auto [rest, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool good = problem == std::errc() && rest == word.data() + word.size() && std::isfinite(value);
    if (!good || (positive && !(value > 0))) {
      throw Error(ExitCode::kUsage, concat("expected ", allowed, ", got '", word, "'"));
    }
    numbers.push_back(value);
  }
  return numbers;
}

std::vector<double> for_channels(std::vector<double> numbers, std::int64_t channels, const char* key) {
  if (numbers.size() == 1) numbers.resize(static_cast<std::size_t>(channels), numbers[0]);
  if (static_cast<std::int64_t>(numbers.size()) != channels) {
    throw Error(ExitCode::kData,
                concat("[data] ", key, ": expected 1", channels == 1 ? " number" : concat(" or ", channels, " numbers"),
                       ", one for each channel of the images, got ", numbers.size()));
  }
  return numbers;
}

}  // namespace

Normalization measure_normalization(const Dataset& dataset) {
  Normalization result;
  for (const auto& counts : dataset.count_pixels()) {
    std::int64_t pixels = 0, sum = 0;
    for (std::size_t value = 0; value < counts.size(); ++value) {
      pixels += counts[value];
      sum += counts[value] * static_cast<std::int64_t>(value);
    }
    const double mean = static_cast<double>(sum) / static_cast<double>(pixels);
    double squares = 0;
    for (std::size_t value = 0; value < counts.size(); ++value) {
      const double distance = static_cast<double>(value) - mean;
      squares += static_cast<double>(counts[value]) * distance * distance;
    }
    result.mean.push_back(mean / 255);
    result.std.push_back(std::sqrt(squares / static_cast<double>(pixels)) / 255);
  }
  return result;
}

std::optional<Normalization> given_normalization(const DataOptions& options, std::int64_t channels) {
  if (asks_to_measure(options.mean) || asks_to_measure(options.std)) return std::nullopt;
  return Normalization{for_channels(parse_numbers(options.mean, false), channels, "mean"),
                       for_channels(parse_numbers(options.std, true), channels, "std")};
}

Normalization make_normalization(const DataOptions& options, const Dataset& train) {
  const std::int64_t channels = train.shape().channels;
  if (const auto given = given_normalization(options, channels)) return *given;
  Normalization result = measure_normalization(train);
  for (std::size_t channel = 0; asks_to_measure(options.std) && channel < result.std.size(); ++channel) {
    if (result.std[channel] > 0) continue;
    throw Error(ExitCode::kData, concat(train.name(), ": all pixels of channel ", channel, " are ",
                                        result.mean[channel] * 255, ", so they have no deviation; set [data] std"));
  }
  if (!asks_to_measure(options.mean)) result.mean = for_channels(parse_numbers(options.mean, false), channels, "mean");
  if (!asks_to_measure(options.std)) result.std = for_channels(parse_numbers(options.std, true), channels, "std");
  return result;
}

void check_normalization_text(const std::vector<std::string>& words, bool positive) {
  if (!asks_to_measure(words)) parse_numbers(words, positive);
}

}  // namespace sluice
