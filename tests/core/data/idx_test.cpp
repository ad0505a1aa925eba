// IDX files, plain and gzipped; every kind of damage is named with its file and byte.
#include <gmock/gmock.h>

#include <csignal>

#include "core/base/signals.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kHeight = 5, kWidth = 7;

Bytes idx(std::uint32_t magic, const std::vector<std::uint32_t>& dims, const Bytes& values) {
  Bytes bytes;
  std::vector<std::uint32_t> words = {magic};
  words.insert(words.end(), dims.begin(), dims.end());
  for (const std::uint32_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(word >> shift));
  }
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

Bytes image_file(std::uint32_t count) {
  Bytes values;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < kHeight * kWidth; ++j) values.push_back(test_byte(i, j));
  }
  return idx(0x803, {count, kHeight, kWidth}, values);
}

class Idx : public ::testing::Test {
 protected:
  Idx() {
    folder_.write(kImages, image_file(3));
    folder_.write(kLabels, idx(0x801, {3}, {2, 0, 4}));
    options_.kind = DataKind::kIdx;
    options_.dir = folder_.path();
  }
  std::string images_advice() const { return "; check [data] idx_train_images, or fetch the file again"; }
  std::string labels_advice() const { return "; check [data] idx_train_labels, or fetch the file again"; }

  const std::string kImages = "train-images-idx3-ubyte", kLabels = "train-labels-idx1-ubyte";
  TempFolder folder_;
  DataOptions options_;
};

TEST_F(Idx, AStopSignalEndsReading) {
  const StopSignals signals;
  std::raise(SIGUSR1);
  EXPECT_EQ(error_text([&] { open_dataset(options_, Split::kTrain); }, ExitCode::kStopped),
            "stopped before the first step: received SIGUSR1; nothing is lost, start again with the same command");
}

TEST_F(Idx, ReadsPlainFiles) {
  const auto train = open_dataset(options_, Split::kTrain);
  ASSERT_EQ(train->size(), 3);
  EXPECT_EQ(train->shape(), (ImageShape{1, kHeight, kWidth}));
  EXPECT_EQ(train->num_classes(), 5);
  const Samples samples = read_all(*train);
  EXPECT_THAT(samples.labels, ElementsAre(2, 0, 4));
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < kHeight * kWidth; ++j) {
      ASSERT_EQ(samples.images[static_cast<std::size_t>(i * kHeight * kWidth + j)], test_byte(i, j));
    }
  }
}

TEST_F(Idx, ReadsGzippedAndDottedFiles) {
  const Samples plain = read_all(*open_dataset(options_, Split::kTrain));
  folder_.write_gzipped("t10k-images.idx3-ubyte.gz", folder_.read(kImages));
  folder_.write_gzipped("t10k-labels-idx1-ubyte.gz", folder_.read(kLabels));
  const Samples test = read_all(*open_dataset(options_, Split::kTest));
  EXPECT_EQ(test.images, plain.images);
  EXPECT_EQ(test.labels, plain.labels);
}

TEST_F(Idx, ClassesByKey) {
  options_.classes = 10;
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->num_classes(), 10);
  options_.classes = 0;
  options_.class_names = {"a", "b", "c", "d", "e"};
  const auto named = open_dataset(options_, Split::kTrain);
  EXPECT_EQ(named->num_classes(), 5);
  EXPECT_EQ(named->class_name(4), "e");
  options_.classes = 4;
  options_.class_names.clear();
  EXPECT_EQ(open_error(options_),
            (folder_ / kLabels) + ": byte 10: expected a label below 4, got 4; check [data] classes");
}

TEST_F(Idx, MissingFiles) {
  std::filesystem::remove(folder_ / kLabels);
  EXPECT_EQ(open_error(options_),
            (folder_ / kLabels) + ": no such file, plain or with .gz; set [data] dir and idx_train_labels");
  EXPECT_EQ(
      open_error(options_, Split::kTest),
      (folder_ / "t10k-images-idx3-ubyte") + ": no such file, plain or with .gz; set [data] dir and idx_test_images");
  options_.dir = folder_ / "nowhere";
  EXPECT_EQ(open_error(options_), options_.dir + ": expected the folder of the IDX files, got nothing; set [data] dir");
}

TEST_F(Idx, WrongMagic) {
  folder_.write(kImages, folder_.read(kLabels));
  EXPECT_EQ(open_error(options_), (folder_ / kImages) +
                                      ": byte 0: expected the magic number 0x00000803 (unsigned bytes, " +
                                      "3 dimensions), got 0x00000801 (a file of labels)" + images_advice());
  folder_.write(kImages, image_file(3));
  folder_.write(kLabels, image_file(3));
  EXPECT_EQ(open_error(options_), (folder_ / kLabels) +
                                      ": byte 0: expected the magic number 0x00000801 (unsigned bytes, " +
                                      "1 dimension), got 0x00000803 (a file of images)" + labels_advice());
  folder_.write(kLabels, idx(0x80B, {3}, {0, 0, 0}));
  EXPECT_EQ(open_error(options_), (folder_ / kLabels) +
                                      ": byte 0: expected the magic number 0x00000801 (unsigned bytes, " +
                                      "1 dimension), got 0x0000080b (unsigned bytes, 11 dimensions)" + labels_advice());
  folder_.write(kLabels, Bytes{0, 0, 8});
  EXPECT_EQ(open_error(options_),
            (folder_ / kLabels) + ": byte 3: the file ends here, expected 8 bytes" + labels_advice());
  std::filesystem::remove(folder_ / kLabels);
  std::filesystem::create_directory(folder_ / kLabels);
  EXPECT_EQ(open_error(options_), (folder_ / kLabels) + ": expected a file, got a folder" + labels_advice());
}

TEST_F(Idx, TruncatedAndTooLong) {
  Bytes bytes = image_file(3);
  bytes.push_back(0);
  folder_.write(kImages, bytes);
  EXPECT_EQ(open_error(options_),
            (folder_ / kImages) + ": byte 121: expected the end of the file, got more bytes" + images_advice());
  bytes.resize(100);
  folder_.write(kImages, bytes);
  EXPECT_EQ(open_error(options_),
            (folder_ / kImages) + ": byte 100: the file ends here, expected 121 bytes" + images_advice());
}

TEST_F(Idx, SizesThatCannotBe) {
  folder_.write(kImages, idx(0x803, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, {1, 2, 3}));
  EXPECT_EQ(open_error(options_),
            (folder_ / kImages) + ": byte 4: dimension 0 is 4294967295, more than the file can hold" + images_advice());
  folder_.write(kImages, idx(0x803, {3, 0, kWidth}, {}));
  EXPECT_EQ(open_error(options_),
            (folder_ / kImages) + ": byte 8: expected a size above 0 for dimension 1, got 0" + images_advice());
  folder_.write(kImages, image_file(2));
  EXPECT_EQ(open_error(options_), (folder_ / kLabels) + ": expected a label for each of the 2 images of " +
                                      (folder_ / kImages) + ", got 3; check [data] idx_train_labels");
}

TEST_F(Idx, DamagedGzip) {
  std::filesystem::remove(folder_ / kImages);
  folder_.write_gzipped(kImages + ".gz", image_file(200));
  const Bytes whole = folder_.read(kImages + ".gz");
  folder_.write(kLabels, idx(0x801, {200}, Bytes(200, 1)));
  ASSERT_EQ(open_error(options_), "no error");
  folder_.write(kImages + ".gz", Bytes(whole.begin(), whole.end() - 100));
  EXPECT_THAT(open_error(options_),
              ::testing::MatchesRegex((folder_ / kImages) + ".gz: byte [0-9]+: the gzipped file is cut "
                                                            "short; check .*"));
  Bytes flipped = whole;
  flipped[whole.size() - 6] ^= 1;  // in the checksum
  folder_.write(kImages + ".gz", flipped);
  EXPECT_EQ(open_error(options_),
            (folder_ / kImages) + ".gz: byte 0: cannot be read on from here (incorrect data check)" + images_advice());
}

}  // namespace
}  // namespace sluice
