// What a benchmark says of its rates: never a share of the peak above 100 %.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/train/benchmark.hpp"

namespace sluice {
namespace {

PhaseResult phase(double gflops, const std::string& kernel, const std::vector<std::string>& alternatives = {}) {
  PhaseResult result;
  result.gflops = gflops;
  result.operations.emplace_back();
  result.operations.back().kernel = kernel;
  result.operations.back().alternatives = alternatives;
  return result;
}

TEST(RateText, IsAShareOfThePeakOnlyWhereItIsOne) {
  EXPECT_EQ(rate_text(phase(50, "jit:avx512_core"), 100), "50 GFLOP/s = 50 % of the measured peak of 100");
  EXPECT_EQ(rate_text(phase(50, "sluice_wino:avx512"), 100),
            "50 GFLOP/s of dense work = 50 % of the measured peak of 100");
  EXPECT_EQ(rate_text(phase(177, "sluice_wino:avx512"), 99),
            "177 GFLOP/s of dense work, more than the measured peak of 99: Winograd's algorithm or layers that skip "
            "leave out a part "
            "of that work");
  EXPECT_EQ(rate_text(phase(177, "skip", {"dots", "all"}), 99),
            "177 GFLOP/s of dense work, more than the measured peak of 99: Winograd's algorithm or layers that skip "
            "leave out a part "
            "of that work");
}

TEST(Plan, IsATableWithAColumnForEachWay) {
  const TimedKernel gated{"conv1", {"dots", "all"}, {1.25, 0.5}, 1}, quantised{"conv2", {"floats", "int8"}, {2, 3}, 0};
  std::ostringstream plan, none, twins;
  print_plan(plan, {gated, quantised}, 80);
  EXPECT_EQ(plan.str(),
            "plan: milliseconds of the way that a layer runs, and of each that it could\n"
            "  layer  runs       ms   dots    all  floats   int8\n"
            "  conv1  all     0.500  1.250  0.500\n"
            "  conv2  floats  2.000                 2.000  3.000\n");
  print_plan(none, {}, 80);
  EXPECT_EQ(none.str(), "plan: empty, no layer of this network can run in several ways\n");
  KernelRow swept{gated, 1, 1.5, 0.375, 0.75, std::nullopt, true}, other{quantised, 4, 5, {}, {}, {}, false};
  print_kernels(twins, {swept, other}, 70);
  EXPECT_THAT(twins.str(), testing::EndsWith("  layer  runs       ms   dots    all  floats   twin  density    even\n"
                                             "  conv1  all     0.500  1.250  0.500          1.000   37.5 %  75.0 %\n"
                                             "  conv2  floats  2.000                 2.000  4.000\n"
                                             "  no room for: int8, direct twin, even with direct\n"));
}

}  // namespace
}  // namespace sluice
