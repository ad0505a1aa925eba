// What a benchmark says of its rates: never a share of the peak above 100 %.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sluice
