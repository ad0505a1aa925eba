// Mixing the images of a batch: what is mixed with what, by which shares, and what these depend on.
#include "core/data/mixing.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr ImageShape kShape = {2, 9, 7};
constexpr std::int64_t kCount = 126;

/// Image i holds i + 1 everywhere, and shows class 10 + i.
struct Mixed {
  Mixed(const Mixing& mixing, std::int64_t images, std::uint64_t seed = 3, std::int64_t epoch = 2,
        std::int64_t first = 0) {
    for (std::int64_t i = 0; i < images; ++i) {
      numbers.push_back(first + i);
      labels.push_back(static_cast<std::int32_t>(10 + i));
      pixels.insert(pixels.end(), kCount, static_cast<float>(i + 1));
    }
    numbers.push_back(first);  // the first once more, for the last
    labels.push_back(10);
    pixels.insert(pixels.end(), kCount, 1.0F);
    std::vector<std::int64_t> others;
    for (std::int64_t i = 0; i < images; ++i) others.push_back(i + 1);
    Mixer(kShape, mixing, seed).apply(epoch, numbers, others, pixels.data(), labels, mixed);
    numbers.pop_back();
    labels.pop_back();
  }
  std::vector<float> image(std::size_t i) const {
    return {pixels.begin() + static_cast<std::int64_t>(i) * kCount,
            pixels.begin() + static_cast<std::int64_t>(i + 1) * kCount};
  }
  /// The value of image i before, and of the one that it is mixed with.
  float own(std::size_t i) const { return static_cast<float>(i + 1); }
  float other(std::size_t i) const { return i + 1 == numbers.size() ? 1 : static_cast<float>(i + 2); }

  std::vector<std::int64_t> numbers;
  std::vector<std::int32_t> labels;
  std::vector<float> pixels;
  std::vector<MixedLabel> mixed;
};

TEST(Mixing, MixupIsASumOfEachImageAndTheNext) {
  const Mixed batch({0.4, 0}, 5);
  ASSERT_EQ(batch.mixed.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    const MixedLabel& label = batch.mixed[i];
    EXPECT_EQ(label.own, 10 + static_cast<std::int32_t>(i));
    EXPECT_EQ(label.other, i == 4 ? 10 : 11 + static_cast<std::int32_t>(i));
    EXPECT_EQ(batch.labels[i], label.share < 0.5F ? label.other : label.own);
    EXPECT_THAT(batch.image(i), Each(label.share * batch.own(i) + (1 - label.share) * batch.other(i)));
  }
}

TEST(Mixing, CutmixPutsInARectangleOfItsShare) {
  bool any = false;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    const Mixed batch({0, 1}, 3, seed);
    for (std::size_t i = 0; i < 3; ++i) {
      std::int64_t top = 9, bottom = -1, left = 7, right = -1, put = 0;
      for (std::int64_t p = 0; p < kCount; ++p) {
        const float value = batch.image(i)[static_cast<std::size_t>(p)];
        if (value == batch.own(i)) continue;
        ASSERT_EQ(value, batch.other(i));
        const std::int64_t y = p / 14, x = p % 14 / 2;
        top = std::min(top, y), bottom = std::max(bottom, y), left = std::min(left, x), right = std::max(right, x);
        ++put;
      }
      EXPECT_EQ(put, bottom < 0 ? 0 : 2 * (bottom - top + 1) * (right - left + 1)) << "no rectangle";
      EXPECT_FLOAT_EQ(batch.mixed[i].share, 1 - static_cast<float>(put) / kCount);
      any = any || (put > 0 && put < kCount);
    }
  }
  EXPECT_TRUE(any);
}

TEST(Mixing, SharesDependOnSeedEpochAndImageAlone) {
  const Mixed whole({0.3, 1}, 8), part({0.3, 1}, 3, 3, 2, 4);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(part.mixed[i].share, whole.mixed[4 + i].share) << i;
  EXPECT_NE(Mixed({0.3, 0}, 8, 4).mixed[0].share, Mixed({0.3, 0}, 8).mixed[0].share);
  EXPECT_NE(Mixed({0.3, 0}, 8, 3, 3).mixed[0].share, Mixed({0.3, 0}, 8).mixed[0].share);
}

TEST(Mixing, WithBothEachImageHasOne) {
  int sums = 0, cuts = 0;
  const Mixed batch({1, 1}, 200);
  for (std::size_t i = 0; i < 200; ++i) {
    const bool cut = batch.image(i)[0] == batch.own(i) || batch.image(i)[0] == batch.other(i);
    ++(cut ? cuts : sums);
  }
  EXPECT_GT(sums, 70);
  EXPECT_GT(cuts, 70);
}

TEST(Mixing, AnImageAloneStaysAsItIs) {
  const Mixed batch({0, 1}, 1);
  EXPECT_THAT(batch.image(0), Each(1));
  EXPECT_THAT(batch.labels, ElementsAre(10));
}

// Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)).
TEST(Mixing, SharesAreDrawnFromTheBetaDistribution) {
  for (const double alpha : {0.02, 0.2, 1.0, 8.0}) {
    constexpr std::int64_t kDraws = 4000;
    const Mixed batch({alpha, 0}, kDraws);
    double sum = 0, squares = 0;
    for (const MixedLabel& label : batch.mixed) {
      EXPECT_TRUE(label.share >= 0 && label.share <= 1) << label.share;
      sum += label.share;
      squares += static_cast<double>(label.share) * label.share;
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    EXPECT_NEAR(mean, 0.5, 0.03) << alpha;
    EXPECT_NEAR(variance * 4 * (2 * alpha + 1), 1, 0.1) << alpha;
  }
}

}  // namespace
}  // namespace sluice
