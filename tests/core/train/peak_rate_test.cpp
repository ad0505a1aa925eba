// What is said of a processor whose bf16 is slow.
#include "core/train/peak_rate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PeakRate, SaysWhereBf16IsSlowerThanFp32) {
  EXPECT_THAT(advice_on_precision(160.4, 325.2),
              ElementsAre("run.precision = bf16 is slower here than fp32: products run at 160 GFLOP/s in bf16 and at "
                          "325 in fp32; use run.precision = fp32"));
  EXPECT_THAT(advice_on_precision(650, 325), IsEmpty());
  EXPECT_THAT(advice_on_precision(325, 325), IsEmpty());
}

TEST(PeakRate, MeasuresNothingWhereNoBf16IsWanted) {
  EXPECT_THAT(advice_on_precision(Precision::kFp32), IsEmpty());
  EXPECT_THAT(advice_on_precision(Precision::kInt8), IsEmpty());
}

TEST(PeakRate, IsANumberOfProducts) {
  EXPECT_GT(measure_peak_gflops(Precision::kFp32, 1), 0);
}

}  // namespace
}  // namespace sluice
