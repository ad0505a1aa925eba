// Statistics are found by what they mean, add up, and keep their order.
#include "core/graph/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kTwoLosses = R"([network]
input = 3x4x4
[layer.flat]
type = flatten
[layer.a]
type = linear
features = 4
[layer.loss_a]
type = softmax_cross_entropy
from = a, labels
[layer.b]
type = linear
from = flat
features = 4
[layer.loss_b]
type = softmax_cross_entropy
from = b, labels
)";

class StatisticsTest : public ::testing::Test {
 protected:
  /// Sets what the two losses have counted.
  Statistics of(std::int64_t images, std::int64_t correct, double loss) {
    Statistics statistics(*built_);
    for (const char* name : {"loss_a", "loss_b"}) {
      statistics.counts(built_->find(name))[0] = images;
      statistics.counts(built_->find(name))[1] = correct;
      statistics.sums(built_->find(name))[0] = loss;
    }
    return statistics;
  }

  Built built_{kTwoLosses};
};

TEST_F(StatisticsTest, StartAtZero) {
  const Statistics statistics(*built_);
  EXPECT_EQ(statistics.count(Role::kImages), 0);
  EXPECT_EQ(statistics.sum(Role::kLoss), 0);
}

TEST_F(StatisticsTest, AreSummedOverLayersByRole) {
  const Statistics statistics = of(10, 3, 1.5);
  EXPECT_EQ(statistics.count(Role::kImages), 20);
  EXPECT_EQ(statistics.count(Role::kCorrect), 6);
  EXPECT_EQ(statistics.sum(Role::kLoss), 3.0);
  EXPECT_EQ(statistics.count(Role::kOpen), 0) << "nobody declares one";
  EXPECT_EQ(statistics.count(Role::kLoss), 0) << "that is a sum";
}

TEST_F(StatisticsTest, OfSeveralExecutorsAddUp) {
  Statistics sum = of(10, 3, 1.5);
  sum.add(of(4, 1, 0.25));
  EXPECT_EQ(sum.count(Role::kImages), 28);
  EXPECT_EQ(sum.sum(Role::kLoss), 3.5);
  sum.clear();
  EXPECT_EQ(sum.count(Role::kImages), 0);
  EXPECT_EQ(sum.sum(Role::kLoss), 0);
}

TEST_F(StatisticsTest, StandByNodeInTheOrderOfDeclaration) {
  const Statistics statistics = of(10, 3, 1.5);
  const CountsByNode counts = statistics.counts_by_node();
  ASSERT_EQ(counts.size(), built_->nodes().size());
  EXPECT_THAT(counts[static_cast<std::size_t>(built_->find("a"))], IsEmpty());
  EXPECT_THAT(counts[static_cast<std::size_t>(built_->find("loss_b"))], ElementsAre(10, 3));
  EXPECT_THAT(statistics.sums_by_node()[static_cast<std::size_t>(built_->find("loss_a"))], ElementsAre(1.5));
}

TEST_F(StatisticsTest, OfAnExecutorAreThoseOfItsLayers) {
  Executor executor(*built_, options_of(Mode::kInference, 6));
  Batch(*built_, 6, 4, 1).give(executor);
  run_step(executor);
  run_step(executor);
  EXPECT_EQ(executor.statistics().count(Role::kImages), 2 * 2 * 6);
  EXPECT_GT(executor.statistics().sum(Role::kLoss), 0);
  executor.reset_statistics();
  EXPECT_EQ(executor.statistics().count(Role::kImages), 0);
}

}  // namespace
}  // namespace sluice
