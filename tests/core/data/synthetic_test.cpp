// The made-up set: the same for the same seed, different between splits, and learnable.
#include <gtest/gtest.h>

#include <limits>

#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

DataOptions synthetic() {
  DataOptions options;
  options.kind = DataKind::kSynthetic;
  options.synthetic_size = 300;
  options.synthetic_test_size = 100;
  options.synthetic_image = "3x9x13";
  return options;
}

TEST(Synthetic, DependsOnSeedSplitAndIndexAlone) {
  DataOptions options = synthetic();
  const auto train = open_dataset(options, Split::kTrain);
  EXPECT_EQ(train->size(), 300);
  EXPECT_EQ(train->shape(), (ImageShape{3, 9, 13}));
  EXPECT_EQ(train->num_classes(), 10);
  const Samples all = read_all(*train);
  EXPECT_EQ(read_all(*open_dataset(options, Split::kTrain)).images, all.images);
  const std::int64_t index = 217;
  Bytes image(static_cast<std::size_t>(train->shape().count()));
  std::int32_t label = -1;
  train->read(&index, 1, image.data(), &label);
  EXPECT_EQ(label, all.labels[217]);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), all.images.begin() + 217 * train->shape().count()));
  EXPECT_NE(read_all(*open_dataset(options, Split::kTest)).images[0], all.images[0]);
  options.synthetic_size = 1000;  // more images leave the first ones as they were
  Samples more = read_all(*open_dataset(options, Split::kTrain));
  more.images.resize(all.images.size());
  EXPECT_EQ(more.images, all.images);
  options.synthetic_seed = 2;
  EXPECT_NE(read_all(*open_dataset(options, Split::kTrain)).images, read_all(*train).images);
}

/// Class whose mean training image is nearest.
std::int32_t nearest(const std::vector<std::vector<double>>& means, const std::uint8_t* image) {
  std::int32_t best = 0;
  double least = std::numeric_limits<double>::max();
  for (std::size_t label = 0; label < means.size(); ++label) {
    double distance = 0;
    for (std::size_t j = 0; j < means[label].size(); ++j) {
      distance += (image[j] - means[label][j]) * (image[j] - means[label][j]);
    }
    if (distance < least) best = static_cast<std::int32_t>(label);
    least = std::min(least, distance);
  }
  return best;
}

TEST(Synthetic, TheClassesCanBeToldApart) {
  DataOptions options = synthetic();
  options.classes = 7;
  const auto train = open_dataset(options, Split::kTrain), test = open_dataset(options, Split::kTest);
  EXPECT_EQ(train->num_classes(), 7);
  const auto bytes = static_cast<std::size_t>(train->shape().count());
  const Samples known = read_all(*train), asked = read_all(*test);
  std::vector<std::vector<double>> means(7, std::vector<double>(bytes));
  std::vector<int> counts(7);
  for (std::size_t i = 0; i < known.labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(known.labels[i]);
    ++counts.at(label);
    for (std::size_t j = 0; j < bytes; ++j) means[label][j] += known.images[i * bytes + j];
  }
  for (std::size_t label = 0; label < 7; ++label) {
    EXPECT_NEAR(counts[label], 300 / 7, 1);
    for (double& value : means[label]) value /= counts[label];
  }
  int right = 0;
  for (std::size_t i = 0; i < asked.labels.size(); ++i) {
    right += nearest(means, asked.images.data() + i * bytes) == asked.labels[i];
  }
  EXPECT_GT(right, 90);
}

TEST(Synthetic, PatternsThatNeedTooMuchMemory) {
  DataOptions options = synthetic();
  options.synthetic_image = "3x60000x60000";
  EXPECT_EQ(open_error(options),
            "[data] synthetic_image: the patterns of 10 classes of 3x60000x60000 need more than 1073741824 bytes; use "
            "smaller images or fewer classes");
}

}  // namespace
}  // namespace sluice
