// Transforms: the list's text, golden results of what is not random, and that random ones draw as they are defined.
#include "core/picture/transform.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/picture/color.hpp"
#include "tests/core/picture/compare.hpp"
#include "tests/core/picture/golden.hpp"
#include "tests/core/picture/patterns.hpp"

namespace sluice {
namespace {

const std::vector<std::uint8_t> kFill = {10, 20, 30};

Picture transformed(const std::string& list, Picture picture, const TransformDraw& draw = {}) {
  DecodeScratch scratch;
  Transforms(list).apply(picture, draw, false, kFill, scratch);
  return picture;
}

std::string refusal(const std::string& list) {
  try {
    Transforms transforms(list);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(Transforms, WrongListsAreNamed) {
  EXPECT_EQ(refusal("resize(256), center_crop(224)"), "no error");
  EXPECT_EQ(refusal(""), "no error");
  EXPECT_EQ(refusal("flop"), "no transform 'flop'; did you mean 'flip'?");
  EXPECT_EQ(refusal("resize(256"), "'(' without ')' behind 'resize'");
  EXPECT_EQ(refusal("resize(256)x, flip"), "expected a comma behind resize(...), got 'x'");
  EXPECT_EQ(refusal("flip,"), "expected a transform behind the last comma");
  EXPECT_EQ(refusal("flip,,flip"), "expected the name of a transform, got nothing between two commas");
  EXPECT_EQ(refusal("resize"), "resize: expected side, got nothing");
  EXPECT_EQ(refusal("resize(0)"), "resize: side: expected an integer of 1 to 65536, got '0'");
  EXPECT_EQ(refusal("resize(12x)"), "resize: size: expected height x width such as 192x256, got '12x'");
  EXPECT_EQ(refusal("flip(2)"), "flip: p: expected a number of 0 to 1, got '2'");
  EXPECT_EQ(refusal("flip(0.5, 1)"), "flip: does not take a further argument, got '1'");
  EXPECT_EQ(refusal("random_resized_crop(8, 0.5, 0.1)"), "random_resized_crop: area is above most");
  EXPECT_EQ(refusal("color_jitter()"), "color_jitter: expected brightness, got nothing");
  EXPECT_EQ(refusal("color_jitter(0.4, 0, 0, 0.6)"), "color_jitter: hue: expected a number of 0 to 0.5, got '0.6'");
  EXPECT_EQ(refusal("rand_augment(2, 31)"), "rand_augment: magnitude: expected an integer of 0 to 30, got '31'");
  EXPECT_EQ(refusal("trivial_augment(1)"), "trivial_augment: does not take a further argument, got '1'");
}

TEST(Transforms, SizesAreKnownWhereTheyDoNotDependOnThePicture) {
  const auto size = [](const std::string& list, std::optional<PictureSize> of = std::nullopt) {
    const auto known = Transforms(list).size(of);
    return known ? to_string(*known) : "any";
  };
  EXPECT_EQ(size("resize(256), center_crop(224)"), "224x224");
  EXPECT_EQ(size("resize(256)"), "any");
  EXPECT_EQ(size("resize(256)", PictureSize{375, 500}), "256x341");
  EXPECT_EQ(size("resize(256)", PictureSize{500, 375}), "341x256");
  EXPECT_EQ(size("resize(192x256), flip"), "192x256");
  EXPECT_EQ(size("random_resized_crop(224), flip, rand_augment, random_erasing"), "224x224");
  EXPECT_EQ(size("pad_crop(4), flip", PictureSize{32, 32}), "32x32");
  EXPECT_EQ(Transforms("resize(8), center_crop(8), grayscale(1)").first_random(), "");
  EXPECT_EQ(Transforms("resize(8), flip").first_random(), "flip");
}

TEST(Transforms, CentreCropTakesTheMiddleAndPads) {
  const Picture picture = noise(7, 6, 3), middle = transformed("center_crop(4x3)", picture);
  Picture wanted;
  crop(picture, 2, 2, {4, 3}, wanted);  // halves to even: (7 - 4) / 2 is 2, (6 - 3) / 2 is 2
  EXPECT_EQ(middle.pixels, wanted.pixels);
  const Picture padded = transformed("center_crop(9)", picture);
  crop(padded, 1, 1, picture.size, wanted);
  EXPECT_EQ(wanted.pixels, picture.pixels);
  EXPECT_EQ(padded.pixels[0], 0);
}

TEST(Transforms, FlipTwiceIsThePicture) {
  const Picture picture = noise(5, 7, 3), flipped = transformed("flip(1)", picture);
  EXPECT_NE(flipped.pixels, picture.pixels);
  EXPECT_EQ(flipped.row(2)[0], picture.row(2)[3 * 6]);
  EXPECT_EQ(transformed("flip(1)", flipped).pixels, picture.pixels);
  EXPECT_EQ(transformed("flip(0)", picture).pixels, picture.pixels);
}

TEST(Transforms, ColoursAreThoseOfPillow) {
  const auto check = [](const char* what, auto change, const char* golden, int most = 1) {
    SCOPED_TRACE(what);
    Picture picture = noise(5, 6, 3);
    change(picture);
    expect_close(picture.pixels, golden, most);
  };
  Picture other;
  check(
      "brighter", [](Picture& p) { adjust_brightness(p, 1.3); }, golden::kBright);
  check(
      "darker", [](Picture& p) { adjust_brightness(p, 0.4); }, golden::kDark);
  check(
      "contrast", [](Picture& p) { adjust_contrast(p, 1.7); }, golden::kContrast);
  check(
      "saturation", [](Picture& p) { adjust_saturation(p, 0.3); }, golden::kSaturation);
  check(
      "sharper", [&](Picture& p) { adjust_sharpness(p, 1.8, other); }, golden::kSharpness);
  check(
      "smoother", [&](Picture& p) { adjust_sharpness(p, 0, other); }, golden::kSmooth);
  check(
      "hue", [](Picture& p) { adjust_hue(p, 0.2); }, golden::kHue);
  check(
      "hue back", [](Picture& p) { adjust_hue(p, -0.4); }, golden::kHueBack);
  check(
      "posterize", [](Picture& p) { posterize(p, 3); }, golden::kPosterized, 0);
  check(
      "solarize", [](Picture& p) { solarize(p, 100); }, golden::kSolarized, 0);
  check(
      "grey", [](Picture& p) { to_grey(p); }, golden::kGrey, 0);
  Picture dull = noise(5, 6, 3), dark = noise(30, 20, 3);
  for (std::uint8_t& value : dull.pixels) value = static_cast<std::uint8_t>(40 + value / 2);
  stretch_contrast(dull);
  expect_close(dull.pixels, golden::kStretched, 0);
  for (std::uint8_t& value : dark.pixels) value = static_cast<std::uint8_t>(value / 3);
  equalize(dark);
  expect_close(dark.pixels, golden::kEqualized, 0);
}

TEST(Transforms, EachImageAndEpochDrawsItsOwn) {
  const Picture picture = noise(20, 30, 3);
  const std::string list =
      "random_resized_crop(8), flip, color_jitter(0.4, 0.4, 0.4, 0.1), rand_augment, random_erasing(1)";
  const auto at = [&](std::uint64_t seed, std::uint64_t epoch, std::uint32_t sample) {
    return transformed(list, picture, {seed, epoch, sample}).pixels;
  };
  EXPECT_EQ(at(1, 2, 3), at(1, 2, 3));
  EXPECT_NE(at(1, 2, 3), at(2, 2, 3));
  EXPECT_NE(at(1, 2, 3), at(1, 3, 3));
  EXPECT_NE(at(1, 2, 3), at(1, 2, 4));
}

TEST(Transforms, WhatComesLaterDoesNotChangeWhatComesFirst) {
  const Picture picture = noise(20, 30, 3);
  const TransformDraw draw = {5, 6, 7};
  EXPECT_EQ(transformed("pad_crop(3), flip(0)", picture, draw).pixels,
            transformed("pad_crop(3)", picture, draw).pixels);
}

TEST(Transforms, RandomResizedCropDrawsAreasAndRatiosEvenly) {
  const PictureSize of = {300, 400};
  const Transforms transforms("random_resized_crop(224)");
  constexpr int kDraws = 20000;
  double area = 0, wide = 0;
  std::set<std::int64_t> tops;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    const PictureWindow window = *transforms.window(of, {1, 0, sample});
    EXPECT_EQ(window.target, (PictureSize{224, 224}));
    ASSERT_GE(window.top, 0);
    ASSERT_GE(window.left, 0);
    ASSERT_LE(window.top + window.size.height, of.height);
    ASSERT_LE(window.left + window.size.width, of.width);
    const double ratio = static_cast<double>(window.size.width) / static_cast<double>(window.size.height);
    ASSERT_GT(ratio, 0.73);
    ASSERT_LT(ratio, 1.36);
    area += static_cast<double>(window.size.pixels()) / static_cast<double>(of.pixels()) / kDraws;
    wide += (ratio > 1 ? 1.0 : 0.0) / kDraws;
    tops.insert(window.top);
  }
  // Large areas fit seldom, wide ones more often here: what the definition gives, simulated.
  EXPECT_NEAR(area, 0.433, 0.01);
  EXPECT_GT(wide, 0.5);
  EXPECT_LT(wide, 0.62);
  EXPECT_GT(tops.size(), 150u);
}

TEST(Transforms, APictureThatIsTooNarrowGivesItsMiddle) {
  const PictureWindow window = *Transforms("random_resized_crop(8)").window({1, 20000}, {1, 0, 0});
  EXPECT_EQ(window.size, (PictureSize{1, 1}));
  EXPECT_EQ(window.left, 9999);
}

TEST(Transforms, PadCropMovesEachWayEquallyOften) {
  Picture dot;
  dot.reshape({5, 5}, 1);
  std::fill(dot.pixels.begin(), dot.pixels.end(), std::uint8_t{0});
  dot.row(2)[2] = 255;
  std::map<std::int64_t, int> places;
  constexpr int kDraws = 9000;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    const Picture moved = transformed("pad_crop(1)", dot, {3, 4, sample});
    ++places[std::find(moved.pixels.begin(), moved.pixels.end(), 255) - moved.pixels.begin()];
  }
  ASSERT_EQ(places.size(), 9u);
  for (const auto& [place, count] : places) {
    EXPECT_NEAR(count, kDraws / 9, 6 * std::sqrt(kDraws / 9)) << place;
    EXPECT_LE(std::abs(place / 5 - 2), 1);
    EXPECT_LE(std::abs(place % 5 - 2), 1);
  }
}

TEST(Transforms, FlipsAndGreysHappenAsOftenAsAsked) {
  const Picture picture = noise(2, 3, 3);
  int flips = 0, greys = 0;
  constexpr int kDraws = 4000;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    flips += transformed("flip", picture, {1, 0, sample}).pixels != picture.pixels;
    greys += transformed("grayscale(0.25)", picture, {1, 0, sample}).pixels != picture.pixels;
  }
  EXPECT_NEAR(flips, kDraws / 2, 6 * std::sqrt(kDraws / 4));
  EXPECT_NEAR(greys, kDraws / 4, 6 * std::sqrt(kDraws * 3 / 16));
}

TEST(Transforms, ErasingTakesItsShareOfTheArea) {
  Picture white;
  white.reshape({100, 90}, 3);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  double erased = 0;
  constexpr int kDraws = 1000;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    const Picture after = transformed("random_erasing(1, 0.1, 0.3)", white, {1, 0, sample});
    std::int64_t pixels = 0;
    for (std::int64_t i = 0; i < after.size.pixels(); ++i) {
      const std::uint8_t* const pixel = after.pixels.data() + 3 * i;
      if (pixel[0] == 255) continue;
      ++pixels;
      ASSERT_EQ(std::vector<std::uint8_t>(pixel, pixel + 3), kFill);
    }
    ASSERT_GT(pixels, 800);
    ASSERT_LT(pixels, 2800);
    erased += static_cast<double>(pixels) / 9000 / kDraws;
  }
  EXPECT_NEAR(erased, 0.195, 0.015);
}

TEST(Transforms, JitterStaysWithinItsRange) {
  Picture middle;
  middle.reshape({1, 1}, 3);
  std::fill(middle.pixels.begin(), middle.pixels.end(), std::uint8_t{100});
  double sum = 0;
  constexpr int kDraws = 4000;
  for (std::uint32_t sample = 0; sample < kDraws; ++sample) {
    const int value = transformed("color_jitter(0.4)", middle, {1, 0, sample}).pixels[0];
    ASSERT_GE(value, 59);
    ASSERT_LE(value, 140);
    sum += value;
  }
  EXPECT_NEAR(sum / kDraws, 99.5, 1.5);
}

TEST(Transforms, AugmentationsChangePicturesInManyWays) {
  const Picture picture = noise(24, 20, 3), grey = noise(24, 20, 1);
  for (const char* list : {"rand_augment(1, 15)", "trivial_augment"}) {
    std::set<std::vector<std::uint8_t>> results;
    int same = 0;
    for (std::uint32_t sample = 0; sample < 1400; ++sample) {
      const Picture after = transformed(list, picture, {1, 0, sample});
      ASSERT_EQ(after.size, picture.size);
      results.insert(after.pixels);
      same += after.pixels == picture.pixels;
      ASSERT_EQ(transformed(list, grey, {1, 0, sample}).channels, 1);
    }
    EXPECT_GE(results.size(), 20u) << list;
    EXPECT_GT(same, 50) << list;  // the identity is one of 14
    EXPECT_LT(same, 280) << list;
  }
}

}  // namespace
}  // namespace sluice
