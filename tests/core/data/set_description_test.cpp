// What a description tells of a set, and how changed sets are told apart.
#include "core/data/set_description.hpp"

#include <gmock/gmock.h>

#include <numeric>

#include "core/base/digest.hpp"
#include "core/data/memory.hpp"
#include "core/data/views.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

constexpr ImageShape kShape = {1, 3, 5};

struct Made {
  ImageShape shape = kShape;
  std::int64_t first_seed = 0;
  std::int32_t label_shift = 0;
};

std::shared_ptr<const Dataset> numbered(std::int64_t size, const Made& made = {}) {
  Bytes images;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < size; ++i) {
    labels.push_back(static_cast<std::int32_t>((i + made.label_shift) % 4));
    for (std::int64_t j = 0; j < made.shape.count(); ++j) images.push_back(test_byte(made.first_seed + i, j));
  }
  return std::make_shared<MemoryDataset>(DatasetInfo{"set", size, made.shape, 4, {}}, images, labels);
}

/// Counts what is read, and makes its pixels up.
class Counting : public Dataset {
 public:
  Counting(std::int64_t size, ImageShape shape) : Dataset({"counting", size, shape, 2, {}}) {}
  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) {
      read_.push_back(indices[i]);
      labels[i] = 0;
      std::fill_n(images + i * shape().count(), shape().count(), static_cast<std::uint8_t>(indices[i] == changed));
    }
  }
  void read_labels(const std::int64_t*, std::int64_t count, std::int32_t* labels) const override {
    labels_read += count;
    std::fill_n(labels, count, 1);
  }

  mutable std::vector<std::int64_t> read_;
  mutable std::int64_t labels_read = 0;
  std::int64_t changed = -1;
};

std::string change_text(std::int64_t size, const Made& made) {
  const auto change = compare(describe(*numbered(20)), *numbered(size, made));
  return change ? change->text : "no change";
}

TEST(SetDescription, IsOfTheWholeOfASmallSet) {
  const auto set = numbered(20);
  const Samples samples = read_all(*set);
  const SetDescription description = describe(*set);
  EXPECT_EQ(description.images, 20);
  EXPECT_EQ(description.shape, kShape);
  EXPECT_EQ(description.images_digest,
            digest_hex(samples.images.data(), static_cast<std::int64_t>(samples.images.size())));
  EXPECT_EQ(description.labels_digest, digest_hex(samples.labels.data(), 20 * 4));
  EXPECT_EQ(describe(*numbered(30), 20), description);
}

TEST(SetDescription, TellsHowASetChanged) {
  EXPECT_EQ(change_text(20, {}), "no change");
  EXPECT_EQ(change_text(30, {}), "has 10 more images behind its first 20");
  EXPECT_EQ(change_text(30, {kShape, 1, 0}), "has 30 images, not 20, and other ones");
  EXPECT_EQ(change_text(30, {kShape, 0, 1}), "has 30 images, not 20, and other ones");
  EXPECT_EQ(change_text(19, {}), "has 19 images, not 20");
  EXPECT_EQ(change_text(20, {kShape, 1, 0}), "has other images, as many as before (20)");
  EXPECT_EQ(change_text(20, {kShape, 0, 1}), "has the same 20 images with other labels");
  EXPECT_EQ(change_text(20, {{1, 5, 3}, 0, 0}), "has images of 1x5x3, not of 1x3x5");
}

TEST(SetDescription, ReadsSixteenStretchesOfALargeSet) {
  Counting set(1000, {1, 512, 512});  // 4 images to a MiB
  const SetDescription before = describe(set);
  ASSERT_EQ(set.read_.size(), 64u);
  EXPECT_EQ(set.read_.front(), 0);
  EXPECT_EQ(set.read_.back(), 999);
  EXPECT_EQ(set.labels_read, 1000);
  for (std::size_t i = 4; i < 64; i += 4) EXPECT_NEAR(static_cast<double>(set.read_[i] - set.read_[i - 4]), 66.4, 0.7);
  for (const std::int64_t changed : {std::int64_t{0}, set.read_[30], std::int64_t{999}}) {
    set.changed = changed;
    EXPECT_NE(describe(set).images_digest, before.images_digest) << changed;
  }
  set.changed = 10;  // lies between
  EXPECT_EQ(describe(set), before);
}

TEST(SetDescription, ReadsNoMoreOfVeryLargeOnes) {
  const Counting few(17, {1, 2048, 1024}), many(20'000'000, {1, 1, 1});
  describe(few);
  EXPECT_EQ(few.read_.size(), 16u);
  describe(many);
  EXPECT_EQ(many.labels_read, 4 << 20);
}

TEST(SetDescription, LabelsThatCountFromOne) {
  const auto labelled = [](const std::vector<std::int32_t>& four, int times = 10) {
    std::vector<std::int32_t> labels;
    for (int i = 0; i < times; ++i) labels.insert(labels.end(), four.begin(), four.end());
    const auto size = static_cast<std::int64_t>(labels.size());
    return MemoryDataset({"set", size, {1, 1, 1}, 4, {}}, Bytes(labels.size()), labels);
  };
  EXPECT_EQ(doubtful_labels(labelled({1, 2, 3, 1})),
            "no image has the label 0, and each of 1 to 3 occurs: labels count from 0; if these count from 1, subtract "
            "1 from them");
  EXPECT_EQ(doubtful_labels(labelled({1, 2, 3, 1}, 9)), "");  // by chance
  EXPECT_EQ(doubtful_labels(labelled({1, 3, 3, 1})), "");
  EXPECT_EQ(doubtful_labels(labelled({0, 1, 2, 3})), "");
}

TEST(SetDescription, NamesAtAnotherPlace) {
  using Names = std::vector<std::string>;
  const Names known = {"ant", "bee", "cat"};
  EXPECT_EQ(displaced_name(known, known), std::nullopt);
  EXPECT_EQ(displaced_name({}, known), std::nullopt);
  EXPECT_EQ(displaced_name({"ant", "wasp"}, known), std::nullopt);
  EXPECT_EQ(displaced_name({"ant", "cat", "bee"}, known), 1u);
  EXPECT_EQ(displaced_name({"ant", "bee", "cow", "cat"}, known), 3u);
}

TEST(SetDescription, LabelsAreReadThroughViews) {
  const TrainingSets sets = hold_out(make_padded(numbered(20), 7, 3), {6, 1, 0});
  for (const auto& set : {sets.whole, sets.train, sets.validation}) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(set->size()));
    std::iota(indices.begin(), indices.end(), 0);
    std::vector<std::int32_t> labels(indices.size());
    set->read_labels(indices.data(), set->size(), labels.data());
    EXPECT_EQ(labels, read_all(*set).labels);
  }
}

}  // namespace
}  // namespace sluice
