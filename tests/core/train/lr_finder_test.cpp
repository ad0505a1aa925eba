// What a sweep over learning rates suggests, of losses whose best rate is known.
#include "core/train/lr_finder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/random.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kSteps = 300;

/// Rates from 1e-6 to 10; the loss of each is a function of its decimal logarithm.
template <class Loss>
LrSweep sweep_of(Loss&& loss, double noise = 0) {
  LrSweep sweep;
  Random random(1, Purpose::kTest);
  for (std::int64_t i = 0; i < kSteps; ++i) {
    const double decade = -6 + 7.0 * static_cast<double>(i) / (kSteps - 1);
    const double value = loss(decade);
    if (value > 20) break;
    sweep.rates.push_back(std::pow(10, decade));
    sweep.losses.push_back(value + noise * random.normal());
  }
  smooth(sweep, kSteps);
  return sweep;
}

double decade_of(const LrSweep& sweep, std::size_t step) {
  return std::log10(sweep.rates[step]);
}

/// Flat, then down to 0.3 with the steepest place at 10^-2, then up behind 10^-0.5.
double usual(double decade) {
  const double rise = decade + 0.5;
  return 0.3 + 2 / (1 + std::exp(4 * (decade + 2))) + (rise > 0 ? 30 * rise * rise : 0);
}

TEST(LrFinder, SuggestsTheSteepestPlaceAndSaysWhereItIsLowest) {
  for (const double noise : {0.0, 0.1}) {
    SCOPED_TRACE(noise);
    const LrSweep sweep = sweep_of(usual, noise);
    const auto found = suggest_learning_rate(sweep, kSteps);
    ASSERT_EQ(found.kind, LrSuggestion::Kind::kFound);
    EXPECT_TRUE(found.rose);
    EXPECT_EQ(found.begin, 15u) << "half a tenth of 300 steps";
    EXPECT_EQ(found.end, sweep.losses.size() - 15);
    EXPECT_NEAR(decade_of(sweep, found.steepest), -2, noise > 0 ? 0.3 : 0.05);
    EXPECT_NEAR(decade_of(sweep, found.lowest), -0.6, 0.45);
  }
}

TEST(LrFinder, SaysWhyItSuggestsNothing) {
  using Kind = LrSuggestion::Kind;
  const auto of = [](const LrSweep& sweep) { return suggest_learning_rate(sweep, kSteps); };
  EXPECT_EQ(of(LrSweep()).kind, Kind::kTooShort);
  EXPECT_EQ(of(LrSweep()).end, 0u);
  const auto flat = [](double) { return 2.3; };
  EXPECT_EQ(of(sweep_of(flat)).kind, Kind::kNeverFell);
  EXPECT_FALSE(of(sweep_of(flat)).rose);
  EXPECT_EQ(of(sweep_of(flat, 0.05)).kind, Kind::kNeverFell);
  EXPECT_FALSE(of(sweep_of(flat, 0.05)).rose) << "by chance";
  const LrSuggestion rising = of(sweep_of([](double decade) { return 2.3 + std::exp(3 * decade); }));
  EXPECT_EQ(rising.kind, Kind::kNeverFell);
  EXPECT_TRUE(rising.rose);
  EXPECT_NEAR(rising.first, 2.3, 1e-3);
  EXPECT_EQ(of(sweep_of(flat, 2.3)).kind, Kind::kByChance);
  // A fall of 4 %, and one of 8 %, to the end of the range.
  const auto fall = [](double by) { return [by](double d) { return 1 - by / (1 + std::exp(-4 * (d + 3))); }; };
  EXPECT_EQ(of(sweep_of(fall(0.04))).kind, Kind::kNeverFell);
  EXPECT_EQ(of(sweep_of(fall(0.08))).kind, Kind::kFound);
  EXPECT_FALSE(of(sweep_of(fall(0.08))).rose);
}

TEST(LrFinder, SmoothsOverATenthOfTheSweepAndLessAtItsEnds) {
  LrSweep sweep;
  sweep.losses = {1, 2, 6, 4, 7};
  smooth(sweep, 20);  // one on each side
  EXPECT_THAT(sweep.smoothed, ElementsAre(1, 3, 4, 17.0 / 3, 7));
  smooth(sweep, 40);  // two
  EXPECT_THAT(sweep.smoothed, ElementsAre(1, 3, 4, 17.0 / 3, 7));
  sweep.losses.clear();
  smooth(sweep, 20);
  EXPECT_THAT(sweep.smoothed, ElementsAre());
}

}  // namespace
}  // namespace sluice
