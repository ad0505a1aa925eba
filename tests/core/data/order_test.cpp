// The order of an epoch: a permutation that depends on seed and epoch, shuffled in windows where images are read in
// groups.
#include "core/data/order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace sluice {
namespace {

/// A set of which only size and groups matter.
class Grouped : public Dataset {
 public:
  Grouped(std::int64_t size, ReadGroups groups)
      : Dataset({"grouped", size, {1, 1, 1}, 1, {}}), groups_(std::move(groups)) {}
  void read(const std::int64_t*, std::int64_t, std::uint8_t*, std::int32_t*) const override {}
  ReadGroups groups() const override { return groups_; }

 private:
  ReadGroups groups_;
};

std::vector<std::int64_t> order_of(const Dataset& set, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  EpochOrder order(set, shuffle, seed);
  order.set_epoch(epoch + 1);  // what came before does not matter
  order.set_epoch(epoch);
  return order.indices();
}

void expect_permutation(std::vector<std::int64_t> indices, std::int64_t size) {
  std::sort(indices.begin(), indices.end());
  std::vector<std::int64_t> all(static_cast<std::size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(indices, all);
}

TEST(EpochOrder, ShufflesBySeedAndEpochAlone) {
  const Grouped set(1000, {});
  const auto first = order_of(set, true, 7, 3);
  expect_permutation(first, 1000);
  EXPECT_EQ(first, order_of(set, true, 7, 3));
  EXPECT_NE(first, order_of(set, true, 8, 3));
  EXPECT_NE(first, order_of(set, true, 7, 4));
}

TEST(EpochOrder, KeepsTheOrderOfTheSet) {
  const Grouped set(10, {{0, 4, 8}, 2});
  const auto order = order_of(set, false, 7, 3);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  expect_permutation(order, 10);
}

TEST(EpochOrder, EveryPlaceIsEquallyLikely) {
  const Grouped set(4, {});
  std::array<std::array<int, 4>, 4> seen{};
  for (std::int64_t epoch = 0; epoch < 4000; ++epoch) {
    const auto order = order_of(set, true, 1, epoch);
    for (std::size_t i = 0; i < 4; ++i) ++seen[i][static_cast<std::size_t>(order[i])];
  }
  for (const auto& row : seen) {
    for (const int count : row) EXPECT_NEAR(count, 1000, 120);  // four standard deviations
  }
}

TEST(EpochOrder, MixesTheGroupsOfAWindow) {
  // Groups of 10, the last of 5; windows of two groups.
  const Grouped set(95, {{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}, 4});
  const auto order = order_of(set, true, 1, 0);
  expect_permutation(order, 95);
  EXPECT_NE(order, order_of(set, true, 1, 1));
  std::vector<std::int64_t> groups_of_window;
  std::size_t at = 0;
  for (int window = 0; window < 5; ++window) {
    groups_of_window.clear();
    std::int64_t images = 0, distinct_images = 0;
    do {
      const std::int64_t group = order[at++] / 10;
      ++images;
      if (std::find(groups_of_window.begin(), groups_of_window.end(), group) == groups_of_window.end()) {
        groups_of_window.push_back(group);
        distinct_images += group == 9 ? 5 : 10;
      }
    } while (images < distinct_images || groups_of_window.size() < 2);
    EXPECT_EQ(groups_of_window.size(), 2u) << "window " << window;
    EXPECT_EQ(images, distinct_images);
  }
  EXPECT_EQ(at, order.size());
}

TEST(Shuffler, GoesOnPastTheEndOfOneStream) {
  const std::int64_t size = (1 << 20) + 1000;
  std::vector<std::int64_t> values(static_cast<std::size_t>(size));
  std::iota(values.begin(), values.end(), 0);
  Shuffler(1, Purpose::kTest, 0).shuffle(values.data(), size);
  expect_permutation(values, size);
}

}  // namespace
}  // namespace sluice
