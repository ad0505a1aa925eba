// Normalisation: measured exactly, given, and mistakes in the keys.
#include "core/data/normalization.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "core/data/memory.hpp"
#include "core/data/views.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

TEST(Normalization, MatchesASecondPassInDouble) {
  const std::int64_t size = 700, pixels = 5 * 7;  // more than one block of reading
  Bytes images;
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = 0; j < pixels * 3; ++j) {
      images.push_back(static_cast<std::uint8_t>(test_byte(i, j) >> j % 3));
    }
  }
  const MemoryDataset dataset({"set", size, {3, 5, 7}, 1, {}}, images, std::vector<std::int32_t>(size));
  const Normalization measured = measure_normalization(dataset);
  ASSERT_EQ(measured.mean.size(), 3u);
  for (std::size_t c = 0; c < 3; ++c) {
    long double sum = 0, squares = 0;
    for (std::size_t i = c; i < images.size(); i += 3) sum += images[i];
    const long double mean = sum / (size * pixels);
    for (std::size_t i = c; i < images.size(); i += 3) squares += (images[i] - mean) * (images[i] - mean);
    EXPECT_NEAR(measured.mean[c], static_cast<double>(mean / 255), 1e-15);
    EXPECT_NEAR(measured.std[c], static_cast<double>(std::sqrt(squares / (size * pixels)) / 255), 1e-15);
  }
}

TEST(Normalization, DoesNotCountPadding) {
  const auto grey = [] {
    return std::make_unique<MemoryDataset>(DatasetInfo{"set", 2, {1, 1, 2}, 1, {}}, Bytes{0, 255, 255, 255},
                                           std::vector<std::int32_t>(2));
  };
  const Normalization measured = measure_normalization(*make_padded(grey(), 6, 3));
  EXPECT_THAT(measured.mean, ElementsAre(0.75, 0.75, 0.75));
  EXPECT_THAT(measured.std, ::testing::Each(::testing::DoubleEq(std::sqrt(0.1875))));
  EXPECT_EQ(measured.std.size(), 3u);
}

TEST(Normalization, ByKey) {
  const MemoryDataset set({"set", 2, {3, 1, 1}, 1, {}}, {0, 7, 9, 255, 7, 11}, std::vector<std::int32_t>(2));
  DataOptions options;
  EXPECT_EQ(error_text([&] { make_normalization(options, set); }),
            "set: all pixels of channel 1 are 7, so they have no deviation; set [data] std");
  options.std = {"0.5"};
  EXPECT_THAT(make_normalization(options, set).mean, ElementsAre(0.5, 7 / 255.0, 10 / 255.0));
  EXPECT_THAT(make_normalization(options, set).std, ElementsAre(0.5, 0.5, 0.5));
  options.mean = {"0.485", "0.456", "4.06e-1"};
  EXPECT_THAT(make_normalization(options, set).mean, ElementsAre(0.485, 0.456, 0.406));
  options.std = {"1", "2"};
  EXPECT_EQ(error_text([&] { make_normalization(options, set); }),
            "[data] std: expected 1 or 3 numbers, one for each channel of the images, got 2");
}

TEST(Normalization, GivenWithoutAnyImages) {
  DataOptions options;
  EXPECT_FALSE(given_normalization(options, 3).mean);
  options.mean = {"0.5"};
  EXPECT_FALSE(given_normalization(options, 3).std);
  options.std = {"0.1", "0.2", "0.3"};
  const KnownNormalization given = given_normalization(options, 3);
  EXPECT_THAT(*given.mean, ElementsAre(0.5, 0.5, 0.5));
  EXPECT_THAT(*given.std, ElementsAre(0.1, 0.2, 0.3));
  EXPECT_EQ(error_text([&] { given_normalization(options, 1); }),
            "[data] std: expected 1 number, one for each channel of the images, got 3");
}

TEST(Normalization, WhatIsKnownIsNotMeasured) {
  const auto set = std::make_shared<MemoryDataset>(DatasetInfo{"set", 2, {1, 1, 1}, 1, {}}, Bytes{0, 255},
                                                   std::vector<std::int32_t>(2));
  int opened = 0;
  const auto open = [&] {
    ++opened;
    return set;
  };
  const DataOptions options;
  const std::vector<double> stored = {0.25};
  EXPECT_THAT(make_normalization(options, 1, {stored, stored}, open).mean, ElementsAre(0.25));
  EXPECT_EQ(opened, 0);
  const Normalization half = make_normalization(options, 1, {stored, {}}, open);
  EXPECT_EQ(opened, 1);
  EXPECT_THAT(half.mean, ElementsAre(0.25));
  EXPECT_THAT(half.std, ElementsAre(0.5));
  EXPECT_THROW(make_normalization(options, 1, {}, open, [] { throw Error(ExitCode::kStopped, "stop"); }), Error);
}

TEST(Normalization, Doubts) {
  EXPECT_THAT(doubtful({{0, 1}, {0.001, 1}}), ElementsAre());
  EXPECT_THAT(doubtful({{0.5, 125.3}, {63}}),
              ElementsAre("[data] mean: 125.3 is taken as it stands, for pixels scaled to 0..1; divide numbers for "
                          "bytes by 255",
                          "[data] std: 63 is taken as it stands, for pixels scaled to 0..1; divide numbers for bytes "
                          "by 255"));
  DataOptions options;
  EXPECT_THAT(half_given(options), ElementsAre());
  options.std = {"0.5"};
  EXPECT_THAT(half_given(options), ElementsAre("[data] std: is given, and mean is measured; give both or neither"));
  options.mean = {"0.5"};
  EXPECT_THAT(half_given(options), ElementsAre());
}

TEST(Normalization, InWords) {
  EXPECT_EQ(to_string(Normalization{{0.5, 0.5}, {0.25, 0.125}}), "mean 0.5, std 0.25, 0.125");
}

TEST(Normalization, Text) {
  const auto problem = [](const std::vector<std::string>& words, bool positive) {
    return error_text([&] { check_normalization_text(words, positive); }, ExitCode::kUsage);
  };
  EXPECT_EQ(problem({"measure"}, true), "no error");
  EXPECT_EQ(problem({"-1", "0"}, false), "no error");
  EXPECT_EQ(problem({"0"}, true), "expected numbers above zero or 'measure', got '0'");
  EXPECT_EQ(problem({"nan"}, false), "expected numbers or 'measure', got 'nan'");
  EXPECT_EQ(problem({"0.5", "measure"}, false), "expected numbers or 'measure', got 'measure'");
  EXPECT_EQ(problem({"0.5x"}, false), "expected numbers or 'measure', got '0.5x'");
  EXPECT_EQ(problem({}, false), "expected numbers or 'measure', got nothing");
}

}  // namespace
}  // namespace sluice
