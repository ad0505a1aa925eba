// Random streams: independence, moments, ranges.
#include "core/base/random.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice {
namespace {

TEST(Random, StreamsDependOnEveryPartOfTheirAddressAndOnNothingElse) {
  Random first(7, Purpose::kAugment, 3, 11), again(7, Purpose::kAugment, 3, 11);
  const std::uint32_t value = first.bits();
  EXPECT_EQ(value, again.bits());
  EXPECT_NE(value, Random(8, Purpose::kAugment, 3, 11).bits());
  EXPECT_NE(value, Random(7, Purpose::kShuffle, 3, 11).bits());
  EXPECT_NE(value, Random(7, Purpose::kAugment, 4, 11).bits());
  EXPECT_NE(value, Random(7, Purpose::kAugment, 3, 12).bits());
}

TEST(Random, MomentsOfUniformAndNormal) {
  Random random(1, Purpose::kTest);
  const int n = 200000;
  double u = 0, m = 0, v = 0;
  for (int i = 0; i < n; ++i) {
    u += random.uniform();
    const double x = random.normal();
    m += x;
    v += x * x;
  }
  EXPECT_NEAR(u / n, 0.5, 0.005);
  EXPECT_NEAR(m / n, 0.0, 0.01);
  EXPECT_NEAR(v / n, 1.0, 0.02);
}

TEST(Random, BelowCoversItsRangeOnly) {
  Random random(1, Purpose::kTest);
  std::array<int, 3> seen{};
  for (int i = 0; i < 3000; ++i) ++seen.at(random.below(3));
  for (int count : seen) EXPECT_GT(count, 850);
}

}  // namespace
}  // namespace sluice
