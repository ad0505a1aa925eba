// Figures for people.
#include "core/base/units.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Units, CountsHaveAllDigits) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(75124), "75,124");
  EXPECT_EQ(count_text(1270058), "1,270,058");
}

TEST(Units, Operations) {
  EXPECT_EQ(operations_text(0), "0");
  EXPECT_EQ(operations_text(1234.4), "1234");
  EXPECT_EQ(operations_text(12345), "12.35 k");
  EXPECT_EQ(operations_text(41234567), "41.23 M");
  EXPECT_EQ(operations_text(1.5e10), "15.00 G");
}

TEST(Units, ExecutedOperationsAndTheirShare) {
  EXPECT_EQ(executed_text(18412345, 40812345), "18.41 M (45.1 %)");
  EXPECT_EQ(executed_text(1234, 1234), "1234 (100.0 %)");
  EXPECT_EQ(executed_text(0, 0), "0");
}

TEST(Units, EachKindHasItsDigits) {
  EXPECT_EQ(accuracy_text(0.9165), "91.65 %");
  EXPECT_EQ(accuracy_text(1), "100.00 %");
  EXPECT_EQ(share_text(0.4507), "45.1 %");
  EXPECT_EQ(share_text(0), "0.0 %");
  EXPECT_EQ(loss_text(0.43214), "0.4321");
  EXPECT_EQ(loss_text(1e300).size(), 306U);
  EXPECT_EQ(bits_text(2.706), "2.71");
  EXPECT_EQ(lr_text(0.1), "0.100");
  EXPECT_EQ(lr_text(0.095106), "0.0951");
  EXPECT_EQ(lr_text(1e-6), "1.00e-06");
}

TEST(Units, Times) {
  EXPECT_EQ(time_text(0), "0.0 s");
  EXPECT_EQ(time_text(1.64), "1.6 s");
  EXPECT_EQ(time_text(90), "1.5 min");
  EXPECT_EQ(time_text(5400), "1.50 h");
}

TEST(Units, MillisecondsHaveThreeDigitsAtMostThreeBehindThePoint) {
  EXPECT_EQ(milliseconds_text(0), "0.000");
  EXPECT_EQ(milliseconds_text(0.0434), "0.043");
  EXPECT_EQ(milliseconds_text(0.9994), "0.999");
  EXPECT_EQ(milliseconds_text(0.9996), "1.00");
  EXPECT_EQ(milliseconds_text(9.994), "9.99");
  EXPECT_EQ(milliseconds_text(9.996), "10.0");
  EXPECT_EQ(milliseconds_text(99.94), "99.9");
  EXPECT_EQ(milliseconds_text(99.96), "100");
  EXPECT_EQ(milliseconds_text(123.4), "123");
}

TEST(Units, Rates) {
  EXPECT_EQ(per_second_text(0.123), "0.12");
  EXPECT_EQ(per_second_text(9.994), "9.99");
  EXPECT_EQ(per_second_text(9.996), "10.0");
  EXPECT_EQ(per_second_text(99.96), "100");
  EXPECT_EQ(per_second_text(12345.6), "12346");
}

TEST(Units, ThingsAreCounted) {
  EXPECT_EQ(counted(0, "map"), "0 maps");
  EXPECT_EQ(counted(1, "test image"), "1 test image");
  EXPECT_EQ(counted(10000, "test image"), "10000 test images");
}

}  // namespace
}  // namespace sluice
