// The keys of the [data] section.
#include "core/data/options.hpp"

#include <gmock/gmock.h>

#include "core/config/config.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

std::string config_error(const std::string& section) {
  return error_text(
      [&] {
        Config config = Config::parse("[data]\n" + section, "test.ini");
        config.read<DataOptions>("data");
        config.check();
      },
      ExitCode::kUsage);
}

TEST(DataOptions, ReadsItsSection) {
  Config config = Config::parse(
      "[data]\nkind = idx\ndir = /mnist\npad_to = 32\nchannels = 3\nvalidation = 5000\nmean = 0.1, 0.2, 0.3\nstd = "
      "0.5\n"
      "augment = yes\nflip = no\nclass_names = top, trouser\ncifar100_labels = coarse\nidx_test_images = images.gz\n"
      "hdf5_train_group = /train\nhdf5_memory_mib = 64\nsynthetic_image = 1x28x28\n",
      "test.ini");
  const DataOptions options = config.read<DataOptions>("data");
  config.check();
  EXPECT_EQ(options.kind, DataKind::kIdx);
  EXPECT_EQ(options.dir, "/mnist");
  EXPECT_EQ(options.pad_to, 32);
  EXPECT_EQ(options.channels, 3);
  EXPECT_EQ(options.validation, 5000);
  EXPECT_THAT(options.mean, ElementsAre("0.1", "0.2", "0.3"));
  EXPECT_THAT(options.std, ElementsAre("0.5"));
  EXPECT_TRUE(options.augment);
  EXPECT_FALSE(options.flip);
  EXPECT_THAT(options.class_names, ElementsAre("top", "trouser"));
  EXPECT_TRUE(options.cifar100_coarse);
  EXPECT_EQ(options.idx_test_images, "images.gz");
  EXPECT_EQ(options.hdf5_train_group, "/train");
  EXPECT_EQ(options.hdf5_memory_mib, 64);
  EXPECT_EQ(options.synthetic_image, "1x28x28");
}

TEST(DataOptions, TheResolvedSectionLoadsBack) {
  Config first = Config::parse("[data]\nkind = synthetic\nstd = 0.25, 0.5\nmean = 0\n", "test.ini");
  first.read<DataOptions>("data");
  first.check();
  Config second = Config::parse(first.resolved(), "resolved.ini");
  const DataOptions options = second.read<DataOptions>("data");
  second.check();
  EXPECT_EQ(options.kind, DataKind::kSynthetic);
  EXPECT_THAT(options.std, ElementsAre("0.25", "0.5"));
  EXPECT_TRUE(options.class_names.empty());
  EXPECT_EQ(options.hdf5_memory_mib, 1024);
}

TEST(DataOptions, Mistakes) {
  EXPECT_EQ(config_error("mean = 0.5, none\n"), "test.ini:2: [data] mean: expected numbers or 'measure', got 'none'");
  EXPECT_EQ(config_error("std = 0\n"), "test.ini:2: [data] std: expected numbers above zero or 'measure', got '0'");
  EXPECT_EQ(
      config_error("synthetic_image = 32x32\n"),
      "test.ini:2: [data] synthetic_image: expected channels x height x width such as 3x32x32, each 1 to 65536, got "
      "'32x32'");
  EXPECT_EQ(config_error("classes = 3\nclass_names = a, b\n"),
            "test.ini:3: [data] class_names: expected 3 names, one for each of 'classes', got 2");
  EXPECT_EQ(config_error("transforms = flop\n"),
            "test.ini:2: [data] transforms: no transform 'flop'; did you mean 'flip'?");
  EXPECT_EQ(
      config_error("eval_transforms = resize(8), flip\n"),
      "test.ini:2: [data] eval_transforms: flip draws random numbers, and evaluation is the same each time; put it "
      "into transforms");
  EXPECT_EQ(
      config_error("augment = yes\ntransforms = flip\n"),
      "test.ini:2: [data] augment: 'transforms' says what is done to training images; write pad_crop and flip there");
}

TEST(DataOptions, EveryKeyIsDocumented) {
  Keys keys;
  DataOptions options;
  options.describe(keys);
  EXPECT_EQ(keys.docs().size(), 45u);
  for (const KeyDoc& doc : keys.docs()) {
    EXPECT_GT(doc.doc.size(), 10u) << doc.name;
    EXPECT_FALSE(doc.required) << doc.name;
  }
}

TEST(ImageShape, Text) {
  EXPECT_EQ(to_string(ImageShape{3, 32, 48}), "3x32x48");
  EXPECT_EQ(parse_image_shape("3x32x48"), (ImageShape{3, 32, 48}));
  for (const char* const wrong : {"", "3", "3x32", "3x32x", "x32x32", "3x32x32x1", "3x32x0", "3x-1x32", "3x32x65537",
                                  "3 x 32 x 32", "3x32x99999999999999999999"}) {
    EXPECT_EQ(error_text([&] { parse_image_shape(wrong); }, ExitCode::kUsage),
              "expected channels x height x width such as 3x32x32, each 1 to 65536, got '" + std::string(wrong) + "'");
  }
}

}  // namespace
}  // namespace sluice
