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
    ASSERT_TRUE(found);
    EXPECT_NEAR(decade_of(sweep, found->steepest), -2, noise > 0 ? 0.3 : 0.05);
    EXPECT_NEAR(decade_of(sweep, found->lowest), -0.6, 0.45);
  }
}

TEST(LrFinder, SuggestsNothingWhereTheLossDoesNotFall) {
  EXPECT_FALSE(suggest_learning_rate(LrSweep(), kSteps));
  EXPECT_FALSE(suggest_learning_rate(sweep_of([](double) { return 2.3; }), kSteps));
  EXPECT_FALSE(suggest_learning_rate(sweep_of([](double) { return 2.3; }, 0.05), kSteps));
  EXPECT_FALSE(suggest_learning_rate(sweep_of([](double decade) { return 2.3 + std::exp(3 * decade); }), kSteps));
  // A fall of 4 %, and one of 8 %.
  const auto fall = [](double by) { return [by](double d) { return 1 - by / (1 + std::exp(-4 * (d + 3))); }; };
  EXPECT_FALSE(suggest_learning_rate(sweep_of(fall(0.04)), kSteps));
  EXPECT_TRUE(suggest_learning_rate(sweep_of(fall(0.08)), kSteps));
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
