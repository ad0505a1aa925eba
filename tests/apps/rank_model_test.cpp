// The model of steps that ranks share, on numbers that can be followed by hand.
#include "apps/rank_model.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

/// Backward takes 100 ms, is asked every 10, and has buckets ready after 50 and at its end.
StepTrace trace() {
  StepTrace trace;
  trace.step_ms = 200;
  trace.backward_ms = 100;
  for (int poll = 10; poll <= 100; poll += 10) trace.polls_ms.push_back(poll);
  trace.ready_ms = {50, 100};
  trace.bytes = {1000, 1000};
  trace.work_ms = 3;
  return trace;
}

TEST(RankModel, OneRankSendsNothing) {
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {1, 1, 1}, 1), 200);
}

TEST(RankModel, WhatBackwardHidesCostsNothing) {
  // Half of each bucket goes out twice, 5 ms each: the first bucket is there after 65 ms, the second 10 ms after
  // backward.
  const LinkSpeed link = {0, 0, 100};
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), link, 2), 200 + 3 + 10);
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), link, 2, false), 200 + 3 + 20);
}

TEST(RankModel, LatencyIsOnceForEachPhaseAndMessagesTakeTurns) {
  // A phase of four ranks: 7.5 ms for the bytes, two messages more, and the latency. The messages of the first bucket's
  // phases are sent instead of computing.
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {1, 0.5, 100}, 4), 200 + 3 + 2 + 19);
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {1, 0.5, 100}, 4, false), 200 + 3 + 4 * 8.5 + 1);
}

TEST(RankModel, ABusyLinkDelaysTheNextBucket) {
  // 50 ms for a phase: the first bucket has the link until 50 ms after backward, the second 100 ms more.
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 10}, 2), 200 + 3 + 150);
}

TEST(RankModel, WhatIsNotAskedForOftenEnoughWaits) {
  // The first bucket's exchange is seen at the end of backward, or not until then: it comes before or behind the
  // other's.
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 100, 3}, 2), 200 + 3 + 10);
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 100, 6}, 2), 200 + 3 + 15);
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 100, 7}, 2), 200 + 3 + 20);
}

TEST(RankModel, JoinedBucketsAreReadyWithTheirLast) {
  StepTrace three = trace();
  three.ready_ms = {50, 70, 100};
  three.bytes = {1000, 500, 300};
  const StepTrace joined = with_joined_buckets(three, 2);
  EXPECT_EQ(joined.ready_ms, (std::vector<double>{70, 100}));
  EXPECT_EQ(joined.bytes, (std::vector<std::int64_t>{1500, 300}));
  EXPECT_EQ(with_joined_buckets(three, 1).bytes, three.bytes);
}

TEST(RankModel, WhatTheProcessorSendsItDoesNotCompute) {
  // Memory that ranks share: overlap hides nothing.
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 100, 1, 0.01}, 2), 200 + 3 + 20);
  EXPECT_DOUBLE_EQ(predicted_step_ms(trace(), {0, 0, 100, 1, 0.01}, 2, false), 200 + 3 + 20);
}

}  // namespace
}  // namespace sluice
