// Pictures become what a network takes: as its data set's pictures do, and where nothing is said in one way.
#include "core/data/picture_input.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/data/dataset.hpp"
#include "tests/core/data/files.hpp"
#include "tests/core/picture/make_pictures.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Made {
  Bytes bytes;
  bool resized = false;
};

Made make(const DataOptions& options, const ImageShape& image, const std::string& file) {
  Made made{Bytes(static_cast<std::size_t>(image.count()), 77), false};
  made.resized = PictureInput(options, image).decode(file, made.bytes.data());
  return made;
}

TEST(PictureInput, DoesWhatEvaluationsDo) {
  TempFolder folder;
  DataOptions options;
  options.kind = DataKind::kFolder;
  options.dir = folder.path();
  options.eval_transforms = "resize(9), center_crop(8x7)";
  for (int i = 0; i < 5; ++i) {
    for (const char* name : {"cat", "dog"}) {
      const std::string file = i % 2 == 0 ? png_of(noise(10 + i, 20 - i, 3)) : jpeg_of(gradient(12 + i, 11));
      folder.write(concat("train/", name, "/", i, ".png"), file);
    }
  }
  for (const std::int64_t channels : {1, 3}) {
    options.channels = channels;
    const auto set = open_dataset(options, Split::kTrain);
    const PictureInput input(options, set->shape());
    for (std::int64_t i = 0; i < set->size(); ++i) {
      Bytes wanted(static_cast<std::size_t>(set->shape().count())), found = wanted;
      std::int32_t label = 0;
      set->read(&i, 1, wanted.data(), &label);
      EXPECT_FALSE(input.read(folder / ("train/" + set->image_name(i)), found.data()));
      EXPECT_EQ(found, wanted) << set->image_name(i);
    }
  }
}

TEST(PictureInput, WithoutTransformsTheMiddleIsResized) {
  const Picture wide = noise(6, 20, 3);
  const Made made = make({}, {3, 6, 5}, png_of(wide));
  EXPECT_TRUE(made.resized);
  Picture middle;
  crop(wide, 0, 7, {6, 5}, middle);
  EXPECT_EQ(made.bytes, middle.pixels);
  const Made whole = make({}, {3, 6, 20}, png_of(wide));
  EXPECT_FALSE(whole.resized);
  EXPECT_EQ(whole.bytes, wide.pixels);
  // Of an even picture nothing but its size changes.
  Picture even = noise(1000, 3, 1);
  std::fill(even.pixels.begin(), even.pixels.end(), std::uint8_t{93});
  for (const ImageShape& shape : {ImageShape{1, 7, 9}, ImageShape{3, 40, 2}, ImageShape{1, 1, 300}})
    EXPECT_EQ(make({}, shape, png_of(even)).bytes, Bytes(static_cast<std::size_t>(shape.count()), 93));
}

TEST(PictureInput, WhatIsTooSmallIsPaddedWhereTheDataSetIs) {
  DataOptions options;
  options.kind = DataKind::kIdx;
  options.pad_to = 9;
  options.channels = 3;
  const Picture digit = noise(6, 5, 1);
  const Made made = make(options, {3, 9, 9}, png_of(digit));
  EXPECT_FALSE(made.resized);
  for (std::int64_t y = 0; y < 9; ++y) {
    for (std::int64_t x = 0; x < 9; ++x) {
      const bool inside = y >= 1 && y < 7 && x >= 2 && x < 7;
      const int wanted = inside ? digit.row(y - 1)[x - 2] : 0;
      for (std::int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(made.bytes[static_cast<std::size_t>((y * 9 + x) * 3 + c)], wanted) << y << ", " << x;
    }
  }
  EXPECT_TRUE(make(options, {3, 9, 9}, png_of(noise(10, 5, 1))).resized);
}

std::string reason(const DataOptions& options, const ImageShape& image, const std::string& file) {
  try {
    make(options, image, file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
  return "";
}

TEST(PictureInput, SaysWhatIsWrong) {
  const std::string good = png_of(noise(4, 4, 3));
  EXPECT_EQ(reason({}, {3, 4, 4}, ""), "the file is empty");
  EXPECT_EQ(reason({}, {3, 4, 4}, good.substr(0, 60)), "PNG: the file ends early");
  EXPECT_EQ(reason({}, {2, 4, 4}, good),
            "the network takes images of 2 channels, and pictures have 1 (grey) or 3 (colours)");
  DataOptions small;
  small.max_pixels = 15;
  EXPECT_EQ(reason(small, {3, 4, 4}, good), "it is 4x4, 16 pixels, more than max_pixels = 15");
}

}  // namespace
}  // namespace sluice
