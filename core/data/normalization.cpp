#include "core/data/normalization.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/error.hpp"
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

Normalization measure_normalization(const Dataset& dataset, const StopCheck& check_stop) {
  Normalization result;
  for (const auto& counts : dataset.count_pixels(check_stop)) {
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

KnownNormalization given_normalization(const DataOptions& options, std::int64_t channels) {
  KnownNormalization given;
  if (!asks_to_measure(options.mean)) given.mean = for_channels(parse_numbers(options.mean, false), channels, "mean");
  if (!asks_to_measure(options.std)) given.std = for_channels(parse_numbers(options.std, true), channels, "std");
  return given;
}

Normalization make_normalization(const DataOptions& options, std::int64_t channels, const KnownNormalization& known,
                                 const std::function<std::shared_ptr<const Dataset>()>& train,
                                 const StopCheck& check_stop) {
  KnownNormalization all = known;
  if (!all.mean || !all.std) {
    const KnownNormalization given = given_normalization(options, channels);
    if (!all.mean) all.mean = given.mean;
    if (!all.std) all.std = given.std;
  }
  if (all.mean && all.std) return {*all.mean, *all.std};
  const std::shared_ptr<const Dataset> set = train();
  Normalization measured = measure_normalization(*set, check_stop);
  for (std::size_t channel = 0; !all.std && channel < measured.std.size(); ++channel) {
    if (measured.std[channel] > 0) continue;
    throw Error(ExitCode::kData, concat(set->name(), ": all pixels of channel ", channel, " are ",
                                        measured.mean[channel] * 255, ", so they have no deviation; set [data] std"));
  }
  return {all.mean.value_or(std::move(measured.mean)), all.std.value_or(std::move(measured.std))};
}

Normalization make_normalization(const DataOptions& options, const Dataset& train, const StopCheck& check_stop) {
  const std::shared_ptr<const Dataset> borrowed(std::shared_ptr<const Dataset>(), &train);
  return make_normalization(
      options, train.shape().channels, {}, [&] { return borrowed; }, check_stop);
}

std::vector<std::string> doubtful(const Normalization& normalization) {
  const auto largest = [](const std::vector<double>& values) {
    return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
  };
  std::vector<std::string> warnings;
  const auto check = [&](const char* key, double value) {
    if (value > 1) {
      warnings.push_back(concat("[data] ", key, ": ", value,
                                " is taken as it stands, for pixels scaled to 0..1; divide numbers for bytes by 255"));
    }
  };
  check("mean", largest(normalization.mean));
  check("std", largest(normalization.std));
  return warnings;
}

std::vector<std::string> half_given(const DataOptions& options) {
  const bool mean = !asks_to_measure(options.mean), std = !asks_to_measure(options.std);
  if (mean == std) return {};
  return {concat("[data] ", mean ? "mean" : "std", ": is given, and ", mean ? "std" : "mean",
                 " is measured; give both or neither")};
}

std::string to_string(const Normalization& normalization) {
  const auto list = [](const std::vector<double>& values) {
    std::string text;
    const bool alike = std::equal(values.begin() + (values.empty() ? 0 : 1), values.end(), values.begin());
    for (const double value : values) {
      if (!alike || text.empty()) text += (text.empty() ? "" : ", ") + concat(value);
    }
    return text;
  };
  return concat("mean ", list(normalization.mean), ", std ", list(normalization.std));
}

void check_normalization_text(const std::vector<std::string>& words, bool positive) {
  if (!asks_to_measure(words)) parse_numbers(words, positive);
}

}  // namespace sluice
