// The order of an epoch: a permutation that depends on seed and epoch, shuffled in windows where images are read in
// groups.
#include "core/data/order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

#include "core/base/error.hpp"

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

/// 100 images: 80 of class 0, 15 of 2, 5 of 3, none of 1.
class Unbalanced : public Dataset {
 public:
  explicit Unbalanced(ReadGroups groups = {})
      : Dataset({"unbalanced", 100, {1, 1, 1}, 4, {}}), groups_(std::move(groups)) {}
  void read(const std::int64_t*, std::int64_t, std::uint8_t*, std::int32_t*) const override {}
  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) labels[i] = indices[i] < 80 ? 0 : indices[i] < 95 ? 2 : 3;
  }
  ReadGroups groups() const override { return groups_; }

 private:
  ReadGroups groups_;
};

TEST(EpochOrder, ABalancedEpochHasEachClassEquallyOften) {
  const Unbalanced set;
  EpochOrder order(set, true, 7, true), again(set, true, 7, true);
  std::vector<std::vector<std::int64_t>> epochs;
  for (const std::int64_t epoch : {0, 1}) {
    order.set_epoch(epoch);
    ASSERT_EQ(order.indices().size(), 100U);
    std::array<int, 100> times{};
    for (std::size_t i = 0; i < 100; ++i) {
      int& seen = times[static_cast<std::size_t>(order.indices()[i])];
      EXPECT_EQ(order.times_before(static_cast<std::int64_t>(i)), static_cast<std::uint64_t>(seen));
      ++seen;
    }
    const auto sum = [&](std::size_t begin, std::size_t end) {
      return std::accumulate(times.begin() + static_cast<std::ptrdiff_t>(begin),
                             times.begin() + static_cast<std::ptrdiff_t>(end), 0);
    };
    EXPECT_EQ(sum(0, 80), 34);
    EXPECT_EQ(sum(80, 95), 33);
    EXPECT_EQ(sum(95, 100), 33);
    EXPECT_EQ(*std::max_element(times.begin(), times.begin() + 80), 1);
    for (std::size_t i = 80; i < 95; ++i) EXPECT_TRUE(times[i] == 2 || times[i] == 3) << times[i];
    for (std::size_t i = 95; i < 100; ++i) EXPECT_TRUE(times[i] == 6 || times[i] == 7) << times[i];
    epochs.push_back(order.indices());
  }
  EXPECT_NE(epochs[0], epochs[1]);
  again.set_epoch(1);
  EXPECT_EQ(again.indices(), epochs[1]);
  EXPECT_EQ(order_of(set, true, 7, 1), order_of(set, true, 7, 1));
}

TEST(EpochOrder, ASetInGroupsIsNotBalanced) {
  const Unbalanced set({{0, 50}, 2});
  try {
    const EpochOrder order(set, true, 7, true);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_STREQ(error.what(),
                 "[data] balance: unbalanced is read in pieces, expected one that fits into memory; raise "
                 "hdf5_memory_mib, or leave balance off");
  }
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

TEST(EpochOrder, GathersTheGroupsOfABatch) {
  // Groups of 10, the last of 5; windows of four groups; batches of 15 behind the first 5 images.
  const Grouped set(95, {{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}, 8});
  EpochOrder order(set, true, 1);
  order.set_epoch(0);
  const std::vector<std::int64_t> before = order.indices();
  order.gather_groups(5, 15);
  const std::vector<std::int64_t>& after = order.indices();
  EXPECT_TRUE(std::equal(after.begin(), after.begin() + 5, before.begin()));
  std::vector<std::int64_t> first_window;  // its groups, as they follow each other in the first batch
  for (std::ptrdiff_t begin = 5; begin < 95; begin += 15) {
    const std::ptrdiff_t end = std::min<std::ptrdiff_t>(begin + 15, 95);
    EXPECT_TRUE(std::is_permutation(after.begin() + begin, after.begin() + end, before.begin() + begin));
    std::vector<std::int64_t> groups;
    for (std::ptrdiff_t i = begin; i < end; ++i) groups.push_back(after[static_cast<std::size_t>(i)] / 10);
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
    EXPECT_EQ(std::set<std::int64_t>(groups.begin(), groups.end()).size(), groups.size()) << "at " << begin;
    if (begin == 5) {
      first_window = groups;
    } else if (begin == 20) {
      EXPECT_EQ(groups, first_window);
    }
  }
  EXPECT_EQ(first_window.size(), 4u);
}

TEST(EpochOrder, ABatchOfTwoWindowsHasTheirGroupsSideBySide) {
  // Two windows of two groups each: their first halves come before their second ones.
  const Grouped set(400, {{0, 100, 200, 300}, 4});
  EpochOrder order(set, true, 1);
  order.set_epoch(0);
  order.gather_groups(100, 200);
  std::vector<std::int64_t> groups;
  for (std::size_t i = 100; i < 300; ++i) groups.push_back(order.indices()[i] / 100);
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  ASSERT_EQ(groups.size(), 4u);
  std::set<std::int64_t> window;
  for (std::size_t i = 0; i < 100; ++i) window.insert(order.indices()[i] / 100);
  EXPECT_EQ(window.count(groups[0]) + window.count(groups[1]), 1u);
  EXPECT_EQ(window.count(groups[2]) + window.count(groups[3]), 1u);
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
