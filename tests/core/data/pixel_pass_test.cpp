// Crop, mirror and normalisation against a naive reference.
#include "core/data/pixel_pass.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

/// One output value: the window is cut out of the padded image, then mirrored, then normalised.
double reference(const Bytes& image, const ImageShape& shape, const Normalization& normalization,
                 const PixelPass::Choice& choice, std::int64_t c, std::int64_t y, std::int64_t x) {
  const std::int64_t column = choice.flip ? shape.width - 1 - x : x;
  const std::int64_t from_y = y + choice.dy, from_x = column + choice.dx;
  double byte = 0;
  if (from_y >= 0 && from_y < shape.height && from_x >= 0 && from_x < shape.width) {
    byte = image[static_cast<std::size_t>((from_y * shape.width + from_x) * shape.channels + c)];
  }
  const auto channel = static_cast<std::size_t>(c);
  return (byte / 255 - normalization.mean[channel]) / normalization.std[channel];
}

void check_all_choices(const ImageShape& shape, std::int64_t reach) {
  SCOPED_TRACE(to_string(shape));
  Bytes image;
  for (std::int64_t j = 0; j < shape.count(); ++j) image.push_back(test_byte(1, j));
  Normalization normalization;
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    normalization.mean.push_back(0.3 + 0.1 * static_cast<double>(c));
    normalization.std.push_back(0.2 + 0.05 * static_cast<double>(c));
  }
  const PixelPass pass(shape, normalization, {reach, true});
  std::vector<float> out(image.size() + 2, -77);  // with a guard on both sides
  for (std::int64_t trial = 0; trial < 2 * (2 * reach + 1) * (2 * reach + 1); ++trial) {
    const PixelPass::Choice choice{trial / 2 / (2 * reach + 1) - reach, trial / 2 % (2 * reach + 1) - reach,
                                   trial % 2 == 1};
    pass.apply(image.data(), choice, out.data() + 1);
    for (std::int64_t j = 0; j < shape.count(); ++j) {
      const std::int64_t c = j % shape.channels, x = j / shape.channels % shape.width;
      const std::int64_t y = j / shape.channels / shape.width;
      const auto expected = static_cast<float>(reference(image, shape, normalization, choice, c, y, x));
      ASSERT_EQ(out[static_cast<std::size_t>(j + 1)], expected) << "dy " << choice.dy << " dx " << choice.dx << " flip "
                                                                << choice.flip << " at " << c << "," << y << "," << x;
    }
  }
  EXPECT_EQ(out.front(), -77);
  EXPECT_EQ(out.back(), -77);
}

TEST(PixelPass, MatchesTheReferenceForEveryWindow) {
  check_all_choices({3, 5, 7}, 2);
  check_all_choices({1, 7, 5}, 2);
  check_all_choices({4, 3, 6}, 1);
  check_all_choices({3, 2, 3}, 4);  // windows wholly outside of the image
  check_all_choices({1, 1, 1}, 1);
}

TEST(PixelPass, ChoicesCoverTheirRangeEvenly) {
  const PixelPass pass({3, 32, 32}, {{0, 0, 0}, {1, 1, 1}}, {2, true});
  int dy[5] = {}, dx[5] = {}, flips = 0;
  for (std::uint32_t sample = 0; sample < 5000; ++sample) {
    Random random(1, Purpose::kAugment, 0, sample);
    const PixelPass::Choice choice = pass.choose(random);
    ASSERT_LE(std::abs(choice.dy), 2);
    ASSERT_LE(std::abs(choice.dx), 2);
    ++dy[choice.dy + 2];
    ++dx[choice.dx + 2];
    flips += choice.flip;
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(dy[i], 1000, 120);
    EXPECT_NEAR(dx[i], 1000, 120);
  }
  EXPECT_NEAR(flips, 2500, 150);
}

TEST(PixelPass, SwitchingFlipsOffKeepsTheCrops) {
  const Normalization normalization{{0}, {1}};
  const PixelPass with({1, 8, 8}, normalization, {3, true}), without({1, 8, 8}, normalization, {3, false});
  const PixelPass nothing({1, 8, 8}, normalization, {0, false});
  for (std::uint32_t sample = 0; sample < 100; ++sample) {
    Random a(1, Purpose::kAugment, 0, sample), b(1, Purpose::kAugment, 0, sample), c(1, Purpose::kAugment, 0, sample);
    const PixelPass::Choice first = with.choose(a), second = without.choose(b), none = nothing.choose(c);
    EXPECT_EQ(first.dy, second.dy);
    EXPECT_EQ(first.dx, second.dx);
    EXPECT_FALSE(second.flip);
    EXPECT_TRUE(none.dy == 0 && none.dx == 0 && !none.flip);
  }
}

TEST(PixelPass, WrongNumberOfChannels) {
  EXPECT_EQ(
      error_text([] {
        PixelPass({3, 4, 4}, {{0}, {1}}, {});
      }),
      "normalisation: expected a mean and a standard deviation for each of the 3 channels of the images, got 1 and 1");
}

}  // namespace
}  // namespace sluice
