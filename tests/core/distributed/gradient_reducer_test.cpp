// How arrays are cut; what ranks make of them is tested by ranks.cpp.
#include "core/distributed/gradient_reducer.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(GradientReducer, BucketsGrowSoThatPiecesOfManyRanksAreNoSingleWords) {
  EXPECT_EQ(GradientReducer::bucket_for(1), 1 << 18);
  EXPECT_EQ(GradientReducer::bucket_for(64), 1 << 18);
  EXPECT_EQ(GradientReducer::bucket_for(65), 65 << 12);
  EXPECT_EQ(GradientReducer::bucket_for(1024), 1 << 22);
}

}  // namespace
}  // namespace sluice
