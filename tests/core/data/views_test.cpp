// Padding, repeated channels and the held-out validation set.
#include "core/data/views.hpp"

#include <gmock/gmock.h>

#include <set>

#include "core/data/memory.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAreArray;

std::unique_ptr<Dataset> numbered(std::int64_t size, ImageShape shape) {
  Bytes images;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < size; ++i) {
    labels.push_back(static_cast<std::int32_t>(i));
    for (std::int64_t j = 0; j < shape.count(); ++j) images.push_back(test_byte(i, j));
  }
  return std::make_unique<MemoryDataset>(DatasetInfo{"numbered", size, shape, size, {}}, images, labels);
}

void check_padded(const ImageShape& small, std::int64_t pad_to, std::int64_t channels, const ImageShape& large) {
  SCOPED_TRACE(to_string(small) + " to " + to_string(large));
  const std::int64_t size = 4;
  const auto padded = make_padded(numbered(size, small), pad_to, channels);
  ASSERT_EQ(padded->shape(), large);
  const Samples samples = read_all(*padded);
  const std::int64_t top = (large.height - small.height) / 2, left = (large.width - small.width) / 2;
  const std::int64_t repeat = large.channels / small.channels;
  std::size_t at = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    EXPECT_EQ(samples.labels[static_cast<std::size_t>(i)], i);
    for (std::int64_t y = -top; y < large.height - top; ++y) {
      for (std::int64_t x = -left; x < large.width - left; ++x) {
        for (std::int64_t c = 0; c < large.channels; ++c) {
          const bool inside = y >= 0 && y < small.height && x >= 0 && x < small.width;
          const std::uint8_t expected =
              inside ? test_byte(i, (y * small.width + x) * small.channels + c / repeat) : std::uint8_t{0};
          ASSERT_EQ(samples.images[at++], expected) << "image " << i << " at " << y << "," << x << "," << c;
        }
      }
    }
  }
}

TEST(Padded, SpreadsImagesOverLargerOnes) {
  check_padded({1, 5, 7}, 0, 3, {3, 5, 7});
  check_padded({1, 5, 7}, 10, 0, {1, 10, 10});  // odd rows go to the bottom and the right
  check_padded({1, 5, 7}, 12, 3, {3, 12, 12});
  check_padded({3, 4, 6}, 7, 0, {3, 7, 7});
  check_padded({1, 6, 6}, 6, 2, {2, 6, 6});
}

TEST(Padded, NothingToDoIsNothing) {
  auto base = numbered(2, {3, 6, 6});
  const Dataset* const before = base.get();
  EXPECT_EQ(make_padded(std::move(base), 6, 3).get(), before);
}

TEST(Padded, Mistakes) {
  EXPECT_EQ(error_text([] {
              make_padded(numbered(2, {1, 5, 7}), 6, 0);
            }),
            "[data] pad_to: expected at least the size of the images of numbered, 5x7, got 6");
  EXPECT_EQ(error_text([] {
              make_padded(numbered(2, {3, 5, 7}), 0, 1);
            }),
            "[data] channels: the images of numbered have 3 channels, and only 1 can be repeated, got 1");
}

TEST(HoldOut, SplitsIntoTwoSetsWithoutOverlap) {
  const TrainingSets sets = hold_out(numbered(1000, {1, 2, 3}), {300, 5, 0});
  ASSERT_EQ(sets.train->size(), 700);
  ASSERT_EQ(sets.validation->size(), 300);
  EXPECT_EQ(sets.train->num_classes(), 1000);
  const Samples train = read_all(*sets.train), validation = read_all(*sets.validation);
  EXPECT_TRUE(std::is_sorted(train.labels.begin(), train.labels.end()));
  EXPECT_TRUE(std::is_sorted(validation.labels.begin(), validation.labels.end()));
  std::set<std::int32_t> all(train.labels.begin(), train.labels.end());
  all.insert(validation.labels.begin(), validation.labels.end());
  EXPECT_EQ(all.size(), 1000u);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(validation.images[i * 6 + 5], test_byte(validation.labels[i], 5));
  }
  EXPECT_THAT(read_all(*hold_out(numbered(1000, {1, 2, 3}), {300, 5, 0}).validation).labels,
              ElementsAreArray(validation.labels));
  EXPECT_NE(read_all(*hold_out(numbered(1000, {1, 2, 3}), {300, 6, 0}).validation).labels, validation.labels);
}

TEST(HoldOut, StaysWhenImagesAreAppended) {
  const auto held_out = [](std::int64_t size, std::int64_t drawn_from) {
    return read_all(*hold_out(numbered(size, {1, 2, 3}), {300, 5, drawn_from}).validation).labels;
  };
  const std::vector<std::int32_t> before = held_out(1000, 0);
  EXPECT_EQ(held_out(1000, 1000), before);
  EXPECT_EQ(held_out(1500, 1000), before);
  EXPECT_NE(held_out(1500, 0), before);
  const TrainingSets sets = hold_out(numbered(1500, {1, 2, 3}), {300, 5, 1000});
  EXPECT_EQ(sets.train->size(), 1200);
  EXPECT_EQ(sets.held_out.drawn_from, 1000);
  EXPECT_EQ(hold_out(numbered(1500, {1, 2, 3}), {300, 5, 0}).held_out.drawn_from, 1500);
  EXPECT_EQ(error_text([&] { held_out(999, 1000); }),
            "[data] validation: the images held out of numbered are drawn from its first 1000, expected at least as "
            "many images, got 999, of which others would be held out; put the old set back, or set validation_from");
}

TEST(HoldOut, ByKey) {
  DataOptions options;
  options.kind = DataKind::kSynthetic;
  options.synthetic_size = 50;
  options.synthetic_image = "1x4x4";
  options.pad_to = 6;
  options.validation = 20;
  EXPECT_EQ(open_dataset(options, Split::kTrain)->size(), 30);
  EXPECT_EQ(open_dataset(options, Split::kValidation)->size(), 20);
  EXPECT_EQ(open_dataset(options, Split::kValidation)->shape(), (ImageShape{1, 6, 6}));
  options.validation = 50;
  EXPECT_EQ(open_error(options), "[data] validation: expected fewer than the 50 training images of synthetic, got 50");
  options.validation = 0;
  EXPECT_EQ(open_training(options).validation, nullptr);
  EXPECT_EQ(open_error(options, Split::kValidation),
            "[data] validation: no images of synthetic are held out to validate on, got 0; set it above 0");
}

}  // namespace
}  // namespace sluice
