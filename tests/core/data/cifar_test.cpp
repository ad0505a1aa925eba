// CIFAR files are read as they are shipped; every kind of damage is named with its file and byte.
#include <gmock/gmock.h>

#include "core/data/normalization.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kImage = 3072;

/// Records whose labels count up and whose image i holds test_byte(i, planar position).
Bytes records(std::int64_t first, std::int64_t count, std::int64_t classes, bool with_coarse = false) {
  Bytes bytes;
  for (std::int64_t i = first; i < first + count; ++i) {
    if (with_coarse) bytes.push_back(static_cast<std::uint8_t>(i % 20));
    bytes.push_back(static_cast<std::uint8_t>(i % classes));
    for (std::int64_t j = 0; j < kImage; ++j) bytes.push_back(test_byte(i, j));
  }
  return bytes;
}

class Cifar10 : public ::testing::Test {
 protected:
  Cifar10() {
    for (int i = 0; i < 5; ++i) folder_.write("data_batch_" + std::to_string(i + 1) + ".bin", records(3 * i, 3, 10));
    folder_.write("test_batch.bin", records(100, 2, 10));
    folder_.write("batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
    options_.dir = folder_.path();
  }
  std::string fetch() const { return "run sluice-get-data cifar10 " + folder_.path(); }

  TempFolder folder_;
  DataOptions options_;
};

TEST_F(Cifar10, ReadsEveryFileInOrderAndInterleavesTheChannels) {
  const auto train = open_dataset(options_, Split::kTrain);
  ASSERT_EQ(train->size(), 15);
  EXPECT_EQ(train->shape(), (ImageShape{3, 32, 32}));
  EXPECT_EQ(train->num_classes(), 10);
  EXPECT_EQ(train->class_name(3), "cat");
  const Samples samples = read_all(*train);
  for (std::int64_t i = 0; i < 15; ++i) {
    ASSERT_EQ(samples.labels[static_cast<std::size_t>(i)], i % 10);
    for (std::int64_t pixel = 0; pixel < 1024; ++pixel) {
      for (std::int64_t c = 0; c < 3; ++c) {
        ASSERT_EQ(samples.images[static_cast<std::size_t>(i * kImage + 3 * pixel + c)], test_byte(i, c * 1024 + pixel))
            << "image " << i << " pixel " << pixel << " channel " << c;
      }
    }
  }
  const auto test = open_dataset(options_, Split::kTest);
  EXPECT_EQ(test->size(), 2);
  EXPECT_EQ(read_all(*test).images[3], test_byte(100, 1));
}

TEST_F(Cifar10, ReadsSomeImagesInAnyOrder) {
  const auto train = open_dataset(options_, Split::kTrain);
  const std::int64_t indices[] = {14, 0, 14};
  Bytes images(3 * kImage);
  std::vector<std::int32_t> labels(3);
  train->read(indices, 3, images.data(), labels.data());
  EXPECT_THAT(labels, ElementsAre(4, 0, 4));
  EXPECT_EQ(images[0], test_byte(14, 0));
  EXPECT_EQ(images[kImage], test_byte(0, 0));
  EXPECT_EQ(images[2 * kImage], test_byte(14, 0));
}

TEST_F(Cifar10, IsFoundInTheFolderBelow) {
  TempFolder parent;
  std::filesystem::copy(folder_.path(), parent / "cifar-10-batches-bin");
  options_.dir = parent.path();
  EXPECT_EQ(open_dataset(options_, Split::kTest)->size(), 2);
}

TEST_F(Cifar10, NeedsNoClassNames) {
  std::filesystem::remove(folder_ / "batches.meta.txt");
  const auto test = open_dataset(options_, Split::kTest);
  EXPECT_TRUE(test->class_names().empty());
  EXPECT_EQ(test->class_name(3), "3");
}

TEST_F(Cifar10, MissingFolderAndFiles) {
  options_.dir = folder_ / "nowhere";
  EXPECT_EQ(open_error(options_), options_.dir +
                                      ": expected the folder of CIFAR-10, got nothing; run sluice-get-data " +
                                      "cifar10 " + options_.dir + ", or set [data] dir");
  for (const char* own : {"cifar-10-batches-bin", "cifar-10-batches-bin/"}) {  // which the script makes itself
    options_.dir = folder_ / own;
    EXPECT_EQ(open_error(options_),
              options_.dir + ": expected the folder of CIFAR-10, got nothing; " + fetch() + ", or set [data] dir");
  }
  options_.dir = folder_ / "test_batch.bin";
  EXPECT_EQ(open_error(options_), options_.dir + ": expected the folder of CIFAR-10, got a file; run sluice-get-data " +
                                      "cifar10 " + options_.dir + ", or set [data] dir");
  options_.dir = folder_.path();
  std::filesystem::remove(folder_ / "data_batch_4.bin");
  EXPECT_EQ(open_error(options_), folder_ / "data_batch_4.bin: no such file; " + fetch());
  std::filesystem::create_directory(folder_ / "data_batch_4.bin");
  EXPECT_EQ(open_error(options_), folder_ / "data_batch_4.bin: expected a file, got a folder; " + fetch());
  TempFolder empty;
  options_.dir = empty.path();
  EXPECT_EQ(open_error(options_), empty.path() + ": found neither data_batch_1.bin nor cifar-10-batches-bin/" +
                                      "data_batch_1.bin; run sluice-get-data cifar10 " + empty.path() +
                                      ", or set [data] dir");
}

TEST_F(Cifar10, WrongSizes) {
  Bytes cut = records(0, 3, 10);
  cut.pop_back();
  folder_.write("data_batch_1.bin", cut);
  const std::string path = folder_ / "data_batch_1.bin";
  const std::string expected =
      ": expected a multiple of 3073 bytes (1 of labels and 3072 of pixels for each image), got ";
  EXPECT_EQ(open_error(options_), path + expected + "9218: the file is cut short or damaged; " + fetch());
  folder_.write("data_batch_1.bin", Bytes{});
  EXPECT_EQ(open_error(options_), path + expected + "0: the file is cut short or damaged; " + fetch());
  folder_.write("data_batch_1.bin", records(0, 3, 10));
  folder_.write("data_batch_3.bin", records(6, 2, 10));
  EXPECT_EQ(open_error(options_), (folder_ / "data_batch_3.bin") +
                                      ": expected 3 images as in data_batch_1.bin, got 2: one of them is cut short; " +
                                      fetch());
}

TEST_F(Cifar10, LabelOutOfRange) {
  Bytes bytes = records(0, 3, 10);
  bytes[2 * 3073] = 10;
  folder_.write("data_batch_2.bin", bytes);
  EXPECT_EQ(open_error(options_), (folder_ / "data_batch_2.bin") +
                                      ": byte 6146: expected a label below 10, got 10: the file is damaged; " +
                                      fetch());
}

TEST_F(Cifar10, WrongNumberOfNames) {
  folder_.write("batches.meta.txt", "airplane\nautomobile\n");
  EXPECT_EQ(open_error(options_),
            (folder_ / "batches.meta.txt") + ": expected 10 class names, one in each line, got 2; " + fetch());
  std::filesystem::remove(folder_ / "batches.meta.txt");
  options_.class_names = {"a", "b", "c"};
  EXPECT_EQ(open_error(options_),
            "[data] class_names: expected 10 names for the classes of " + folder_.path() + ", got 3");
  options_.class_names.clear();
  options_.classes = 12;
  EXPECT_EQ(open_error(options_), "[data] classes: " + folder_.path() + " has 10 classes, got 12");
}

TEST_F(Cifar10, ThePythonVersionIsRecognised) {
  TempFolder python;
  python.write("cifar-10-batches-py/data_batch_1", "\x80\x04");
  options_.dir = python.path();
  const std::string rest =
      ": this is the Python version of CIFAR-10 (data_batch_1 instead of data_batch_1.bin), expected the binary "
      "version; "
      "run sluice-get-data cifar10 ";
  EXPECT_EQ(open_error(options_), (python / "cifar-10-batches-py") + rest + python.path());
  options_.dir = python / "cifar-10-batches-py";
  EXPECT_EQ(open_error(options_), options_.dir + rest + options_.dir);
}

class Cifar100 : public ::testing::Test {
 protected:
  Cifar100() {
    folder_.write("cifar-100-binary/train.bin", records(0, 7, 100, true));
    folder_.write("cifar-100-binary/test.bin", records(90, 3, 100, true));
    std::string fine, coarse;
    for (int i = 0; i < 100; ++i) fine += "fine" + std::to_string(i) + "\r\n";
    for (int i = 0; i < 20; ++i) coarse += "coarse" + std::to_string(i) + "\n";
    folder_.write("cifar-100-binary/fine_label_names.txt", fine);
    folder_.write("cifar-100-binary/coarse_label_names.txt", coarse);
    options_.kind = DataKind::kCifar100;
    options_.dir = folder_.path();
  }
  TempFolder folder_;
  DataOptions options_;
};

TEST_F(Cifar100, FineAndCoarseLabels) {
  const auto fine = open_dataset(options_, Split::kTest);
  EXPECT_EQ(fine->num_classes(), 100);
  EXPECT_EQ(fine->class_name(99), "fine99");
  EXPECT_THAT(read_all(*fine).labels, ElementsAre(90, 91, 92));
  EXPECT_EQ(read_all(*fine).images[kImage + 3], test_byte(91, 1));
  options_.cifar100_coarse = true;
  const auto coarse = open_dataset(options_, Split::kTest);
  EXPECT_EQ(coarse->num_classes(), 20);
  EXPECT_EQ(coarse->class_name(19), "coarse19");
  EXPECT_THAT(read_all(*coarse).labels, ElementsAre(10, 11, 12));
}

TEST_F(Cifar100, Damage) {
  const std::string fetch = "; run sluice-get-data cifar100 " + folder_.path();
  const std::string path = folder_ / "cifar-100-binary/train.bin";
  Bytes bytes = records(0, 2, 100, true);
  bytes[3074 + 1] = 100;
  folder_.write("cifar-100-binary/train.bin", bytes);
  EXPECT_EQ(open_error(options_),
            path + ": byte 3075: expected a label below 100, got 100: the file is damaged" + fetch);
  bytes.push_back(0);
  folder_.write("cifar-100-binary/train.bin", bytes);
  EXPECT_EQ(open_error(options_), path +
                                      ": expected a multiple of 3074 bytes (2 of labels and 3072 of pixels for each "
                                      "image), got 6149: the file is cut short or damaged" +
                                      fetch);
}

TEST_F(Cifar100, ThePythonVersionIsRecognised) {
  TempFolder python;
  python.write("train", "\x80\x04");
  options_.dir = python.path();
  EXPECT_EQ(open_error(options_), python.path() + ": this is the Python version of CIFAR-100 (train instead of " +
                                      "train.bin), expected the binary version; run sluice-get-data cifar100 " +
                                      python.path());
}

TEST(RealCifar10, CountsClassesAndPixels) {
  const char* const dir = std::getenv("SLUICE_CIFAR10_DIR");
  if (dir == nullptr) GTEST_SKIP() << "SLUICE_CIFAR10_DIR is not set";
  DataOptions options;
  options.dir = dir;
  const auto train = open_dataset(options, Split::kTrain), test = open_dataset(options, Split::kTest);
  ASSERT_EQ(train->size(), 50000);
  ASSERT_EQ(test->size(), 10000);
  EXPECT_THAT(train->class_names(),
              ElementsAre("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"));
  std::vector<int> counts(10);
  for (const std::int32_t label : read_all(*train).labels) ++counts[static_cast<std::size_t>(label)];
  EXPECT_THAT(counts, ::testing::Each(5000));
  // As published for the training set.
  const Normalization measured = measure_normalization(*train);
  const double mean[] = {0.4914, 0.4822, 0.4465}, std[] = {0.2470, 0.2435, 0.2616};
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(measured.mean[c], mean[c], 1e-4);
    EXPECT_NEAR(measured.std[c], std[c], 1e-4);
  }
}

}  // namespace
}  // namespace sluice
