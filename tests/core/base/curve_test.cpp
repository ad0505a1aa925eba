// Curves of Braille dots, checked by hand.
#include "core/base/curve.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace sluice {
namespace {

using ::testing::ElementsAre;

TEST(Curve, RisesFromTheLowerLeftToTheUpperRight) {
  EXPECT_THAT(draw_curve({1, 2, 3, 4}, 2, 1), ElementsAre("⡠⠊"));
  EXPECT_THAT(draw_curve({4, 3, 2, 1}, 2, 1), ElementsAre("⠑⢄"));
  EXPECT_THAT(draw_curve({0, 7}, 1, 2), ElementsAre("⢸", "⡇"));
}

TEST(Curve, EqualValuesLieBelowAndGapsAreEmpty) {
  EXPECT_THAT(draw_curve({5, 5, 5}, 2, 2), ElementsAre("⠀⠀", "⣀⣀"));
  const double nan = std::nan("");
  EXPECT_THAT(draw_curve({1, nan, 1, 1}, 2, 1), ElementsAre("⡀⣀"));
  EXPECT_THAT(draw_curve({nan, std::numeric_limits<double>::infinity()}, 2, 1), ElementsAre("⠀⠀"));
  EXPECT_THAT(draw_curve({}, 1, 1), ElementsAre("⠀"));
  EXPECT_THAT(draw_curve({3}, 2, 1), ElementsAre("⡀⠀"));
}

TEST(Curve, NumbersAtTheEndsOfTheirRangeDoNotOverflow) {
  const double most = std::numeric_limits<double>::max();
  EXPECT_THAT(draw_curve({-most, most}, 1, 1), ElementsAre("⡜"));
}

}  // namespace
}  // namespace sluice
