// Buffers that live at once never overlap, whatever their lifetimes; those that do not share memory.
#include "core/graph/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/base/random.hpp"

namespace sluice {
namespace {

struct Life {
  std::int64_t bytes;
  int first, last;
};

/// Whether no two requests that live at once overlap, and all lie within the plan.
::testing::AssertionResult is_sound(const MemoryPlan& plan, const std::vector<Life>& lives) {
  for (std::size_t i = 0; i < lives.size(); ++i) {
    const std::int64_t begin = plan.offset(static_cast<int>(i)), end = begin + lives[i].bytes;
    if (begin < 0 || begin % 64 != 0) return ::testing::AssertionFailure() << i << " starts at " << begin;
    if (end > plan.total_bytes())
      return ::testing::AssertionFailure() << i << " ends at " << end << " of " << plan.total_bytes();
    for (std::size_t j = 0; j < i; ++j) {
      const bool together = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
      const std::int64_t other = plan.offset(static_cast<int>(j));
      if (together && begin < other + lives[j].bytes && other < end)
        return ::testing::AssertionFailure() << i << " and " << j << " live at once and overlap";
    }
  }
  return ::testing::AssertionSuccess();
}

/// The most bytes alive at any time, each rounded up to whole lines: no plan can be smaller.
std::int64_t peak(const std::vector<Life>& lives) {
  std::int64_t most = 0;
  for (const Life& at : lives) {
    std::int64_t alive = 0;
    for (const Life& l : lives) alive += l.first <= at.first && at.first <= l.last ? (l.bytes + 63) / 64 * 64 : 0;
    most = std::max(most, alive);
  }
  return most;
}

TEST(MemoryPlan, RandomLivesNeverOverlap) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed, Purpose::kTest);
    MemoryPlan plan;
    std::vector<Life> lives;
    const auto count = 1 + random.below(40);
    for (std::uint64_t i = 0; i < count; ++i) {
      const int first = static_cast<int>(random.below(30)) - 1;
      Life life{static_cast<std::int64_t>(random.below(5000)), first, first + static_cast<int>(random.below(12))};
      ASSERT_EQ(plan.add(life.bytes, life.first, life.last), static_cast<int>(i));
      if (random.below(4) == 0) {
        const int time = static_cast<int>(random.below(40));
        plan.extend(static_cast<int>(i), time);
        life.first = std::min(life.first, time);
        life.last = std::max(life.last, time);
      }
      lives.push_back(life);
    }
    plan.place();
    ASSERT_TRUE(is_sound(plan, lives)) << "seed " << seed;
    ASSERT_GE(plan.total_bytes(), peak(lives)) << "seed " << seed;
    ASSERT_LE(plan.total_bytes(), 2 * peak(lives)) << "seed " << seed << ": wasteful";
  }
}

TEST(MemoryPlan, MemoryIsUsedAgain) {
  MemoryPlan plan;
  for (int i = 0; i < 100; ++i) plan.add(1000, 2 * i, 2 * i + 1);
  plan.place();
  EXPECT_EQ(plan.total_bytes(), 1024);
}

TEST(MemoryPlan, LivesThatTouchAreTogether) {
  MemoryPlan plan;  // an operation reads one while it writes the other
  plan.add(64, 0, 1);
  plan.add(64, 1, 2);
  plan.place();
  EXPECT_NE(plan.offset(0), plan.offset(1));
}

TEST(MemoryPlan, AnEmptyPlanTakesNothing) {
  MemoryPlan plan;
  plan.place();
  EXPECT_EQ(plan.total_bytes(), 0);
}

}  // namespace
}  // namespace sluice
