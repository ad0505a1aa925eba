// Figures for people.
#include "core/base/units.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Units, Operations) {
  EXPECT_EQ(operations_text(0), "0");
  EXPECT_EQ(operations_text(1234.4), "1234");
  EXPECT_EQ(operations_text(12345), "0.01 M");
  EXPECT_EQ(operations_text(41234567), "41.23 M");
  EXPECT_EQ(operations_text(1.5e10), "15.00 G");
}

TEST(Units, Times) {
  EXPECT_EQ(time_text(0), "0.0 s");
  EXPECT_EQ(time_text(1.64), "1.6 s");
  EXPECT_EQ(time_text(90), "1.5 min");
  EXPECT_EQ(time_text(5400), "1.50 h");
}

}  // namespace
}  // namespace sluice
