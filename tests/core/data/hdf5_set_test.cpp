// HDF5 data sets: both layouts, any integer labels, sets larger than the memory granted, and what is said about others.
#include <gmock/gmock.h>
#include <hdf5.h>

#include <cstdlib>
#include <thread>

#include "core/checkpoint/hdf5.hpp"
#include "core/data/order.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kChannels = 3, kHeight = 5, kWidth = 7, kImage = kChannels * kHeight * kWidth;

/// Value of image i at channel, row and column.
std::uint8_t value(std::int64_t i, std::int64_t c, std::int64_t y, std::int64_t x) {
  return test_byte(i, (y * kWidth + x) * kChannels + c);
}

Bytes pixels(std::int64_t count, bool planes) {
  Bytes bytes;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < kImage; ++j) {
      bytes.push_back(planes ? value(i, j / (kHeight * kWidth), j / kWidth % kHeight, j % kWidth) : test_byte(i, j));
    }
  }
  return bytes;
}

void save(const TempFolder& folder, const std::string& name, Hdf5File& file) {
  const std::vector<char> image = file.image();
  folder.write(name, Bytes(image.begin(), image.end()));
}

class Hdf5Set : public ::testing::Test {
 protected:
  Hdf5Set() {
    options_.kind = DataKind::kHdf5;
    options_.dir = folder_.path();
  }

  /// A file with four images, four labels, and what `change` does to the group.
  template <class Change>
  void write(Change change, const std::string& name = "train.h5") {
    Hdf5File file = Hdf5File::create_image(name, ExitCode::kData);
    change(file);
    save(folder_, name, file);
  }
  void write_images(Hdf5Group& group) {
    group.write("images", {4, kHeight, kWidth, kChannels}, pixels(4, false).data());
  }
  void write_labels(Hdf5Group& group) {
    const std::int16_t labels[] = {2, 0, 4, 1};
    group.write("labels", {4}, labels);
  }
  std::string path() const { return folder_ / "train.h5"; }

  TempFolder folder_;
  DataOptions options_;
};

TEST_F(Hdf5Set, BothLayoutsGiveTheSameImages) {
  write([&](Hdf5Group& group) { write_images(group), write_labels(group); });
  write(
      [&](Hdf5Group& group) {
        Hdf5Group below = group.create_group("held").create_group("out");
        below.write("x", {4, kChannels, kHeight, kWidth}, pixels(4, true).data());
        const std::uint64_t labels[] = {2, 0, 4, 1};
        below.write("y", {4, 1}, labels);
        below.write_text("class_names", std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
      },
      "test.h5");
  const auto train = open_dataset(options_, Split::kTrain);
  ASSERT_EQ(train->size(), 4);
  EXPECT_EQ(train->shape(), (ImageShape{kChannels, kHeight, kWidth}));
  EXPECT_EQ(train->num_classes(), 5);
  EXPECT_EQ(train->name(), path() + ": /images");
  EXPECT_EQ(read_all(*train).images, pixels(4, false));
  EXPECT_THAT(read_all(*train).labels, ElementsAre(2, 0, 4, 1));

  options_.hdf5_test_group = "/held/out/";
  options_.hdf5_images = "x";
  options_.hdf5_labels = "y";
  const auto test = open_dataset(options_, Split::kTest);
  EXPECT_EQ(test->num_classes(), 6);
  EXPECT_EQ(test->class_name(5), "f");
  EXPECT_EQ(read_all(*test).images, read_all(*train).images);
  EXPECT_EQ(read_all(*test).labels, read_all(*train).labels);
}

TEST_F(Hdf5Set, OneFileForBothSplitsSharesClassNamesAtItsRoot) {
  write([&](Hdf5Group& file) {
    Hdf5Group train = file.create_group("train"), test = file.create_group("test");
    write_images(train), write_labels(train), write_images(test), write_labels(test);
    file.write_text("class_names", std::vector<std::string>{"a", "b", "c", "d", "e"});
  });
  options_.hdf5_test = path();  // a full path
  options_.hdf5_train_group = "train";
  options_.hdf5_test_group = "test";
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->class_name(4), "e");
  EXPECT_EQ(open_dataset(options_, Split::kTest)->class_name(4), "e");
}

TEST_F(Hdf5Set, GreyImagesAndTheLayoutAttribute) {
  write([&](Hdf5Group& group) {
    group.write("images", {4, kHeight, kWidth * kChannels}, pixels(4, false).data());
    write_labels(group);
  });
  EXPECT_EQ(open_dataset(options_, Split::kTrain)->shape(), (ImageShape{1, kHeight, kWidth * kChannels}));
  const auto open_with = [&](const Shape& shape, const std::string& layout) {
    write([&](Hdf5Group& group) {
      group.write("images", shape, pixels(4, false).data());
      if (!layout.empty()) group.data_set("images").write_attribute("layout", layout);
      write_labels(group);
    });
    return open_dataset(options_, Split::kTrain)->shape();
  };
  EXPECT_EQ(open_with({4, 3, 35, 1}, "NHWC"), (ImageShape{1, 3, 35}));
  EXPECT_EQ(open_with({4, 3, 35, 1}, "NCHW"), (ImageShape{3, 35, 1}));
  EXPECT_EQ(open_with({4, 1, 35, 3}, "NCHW"), (ImageShape{1, 35, 3}));
  EXPECT_EQ(open_with({4, 5, 7, 3}, ""), (ImageShape{3, 5, 7}));
  EXPECT_EQ(open_with({4, 3, 7, 5}, ""), (ImageShape{3, 7, 5}));
  const std::string images = path() + ": /images: ";
  EXPECT_EQ(error_text([&] {
              open_with({4, 3, 35, 1}, "");
            }),
            images +
                "the shape 4x3x35x1 does not tell where the channels are (both of the second and the last size are 1 "
                "or 3); add an attribute 'layout' with the text NHWC or NCHW");
  EXPECT_EQ(error_text([&] {
              open_with({4, 5, 3, 7}, "");
            }),
            images +
                "the shape 4x5x3x7 does not tell where the channels are (neither of the second and the last size is "
                "1 or 3); add an attribute 'layout' with the text NHWC or NCHW");
  EXPECT_EQ(error_text([&] {
              open_with({4, 5, 7, 3}, "HWCN");
            }),
            images + "attribute 'layout': expected NHWC or NCHW, got 'HWCN'");
}

TEST_F(Hdf5Set, WrongImages) {
  const std::string images = path() + ": /images: ";
  write([&](Hdf5Group& group) {
    const std::vector<float> values(4 * kImage);
    group.write("images", {4, kHeight, kWidth, kChannels}, values.data());
    write_labels(group);
  });
  EXPECT_EQ(open_error(options_), images + "holds float32, expected uint8 (pixels of 0 to 255)");
  write([&](Hdf5Group& group) {
    group.write("images", {4, kImage}, pixels(4, false).data());
    write_labels(group);
  });
  EXPECT_EQ(open_error(options_), images + "expected N x height x width, or that with channels, got the shape 4x105");
  write([&](Hdf5Group& group) {
    group.write("images", {0, kHeight, kWidth, kChannels}, pixels(4, false).data());
    write_labels(group);
  });
  EXPECT_EQ(open_error(options_),
            images + "expected sizes of 1 to 65536 and at least one image, got the shape 0x5x7x3");
}

TEST_F(Hdf5Set, WrongLabels) {
  const std::string where = path() + ": /labels: ";
  const auto with_labels = [&](const Shape& shape, const auto& labels) {
    write([&](Hdf5Group& group) {
      write_images(group);
      group.write("labels", shape, labels.data());
    });
    return open_error(options_);
  };
  EXPECT_EQ(with_labels({3}, std::vector<std::int32_t>{1, 2, 3}),
            where + "expected a label for each of the 4 images, got the shape 3");
  EXPECT_EQ(with_labels({2, 2}, std::vector<std::int32_t>{1, 2, 3, 4}),
            where + "expected a label for each of the 4 images, got the shape 2x2");
  EXPECT_EQ(with_labels({4}, std::vector<float>{1, 2, 3, 4}), where + "holds float32, expected integers");
  EXPECT_EQ(with_labels({4}, std::vector<std::int8_t>{1, 2, -1, 4}),
            where + "element 2: expected a label of 0 to 16777215, got -1");
  EXPECT_EQ(with_labels({4}, std::vector<std::uint64_t>{1, ~std::uint64_t{0}, 2, 4}),
            where + "element 1: expected a label of 0 to 16777215, got 9223372036854775807");
  options_.classes = 4;
  EXPECT_EQ(with_labels({4}, std::vector<std::int32_t>{1, 2, 3, 4}),
            where +
                "element 3: expected a label below 4, the number of classes, got 4: labels count from 0, and these "
                "are 1 to 4; check class_names in the file and "
                "[data] classes");
}

TEST_F(Hdf5Set, MissingThings) {
  EXPECT_EQ(open_error(options_), path() + ": no such file; set [data] dir and hdf5_train");
  EXPECT_EQ(open_error(options_, Split::kTest), (folder_ / "test.h5") + ": no such file; set [data] dir and hdf5_test");
  folder_.write("train.h5", "this is text");
  EXPECT_THAT(open_error(options_), HasSubstr(path() + ": cannot open as an HDF5 file: "));
  write([&](Hdf5Group& group) { write_images(group); });
  EXPECT_EQ(open_error(options_), path() + ": /labels: is missing, expected a data set");
  options_.hdf5_train_group = "training";
  EXPECT_EQ(open_error(options_), path() + ": /training: is missing, expected a group");
}

/// The lines between ```python and ``` in a document.
std::string python_of(const std::string& document) {
  std::ifstream file(document);
  std::string code;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```") inside = false;
    if (inside) code += line + "\n";
    if (line == "```python") inside = true;
  }
  return code;
}

TEST_F(Hdf5Set, TheDocumentsPythonMakesADataSet) {
  std::string python;
  for (const char* const candidate : {"python3", "/usr/bin/python3"}) {
    if (std::system(concat(candidate, " -c 'import h5py, numpy' 2>/dev/null").c_str()) == 0) python = candidate;
  }
  if (python.empty()) GTEST_SKIP() << "no Python with h5py";
  folder_.write("snippet.py", python_of(SLUICE_SOURCE_DIR "/docs/data.md"));
  ASSERT_EQ(std::system(concat("cd ", folder_.path(), " && ", python, " snippet.py").c_str()), 0);
  const auto train = open_dataset(options_, Split::kTrain), test = open_dataset(options_, Split::kTest);
  EXPECT_EQ(train->size(), 1000);
  EXPECT_EQ(test->size(), 200);
  EXPECT_EQ(test->shape(), (ImageShape{3, 24, 32}));
  EXPECT_THAT(train->class_names(), ElementsAre("dark", "bright"));
  const Samples samples = read_all(*test);
  for (std::size_t i = 0; i < samples.images.size(); ++i) {
    ASSERT_EQ(samples.images[i] >= 128, samples.labels[i / (3 * 24 * 32)] == 1) << i;
  }
}

/// A set of `count` images in chunks of `rows`, written without the library's usual large chunks.
void write_chunked(const std::string& path, std::int64_t count, std::int64_t rows) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const auto create = [file](const char* name, hid_t type, const std::vector<hsize_t>& dims, hsize_t first_chunk,
                             const void* values) {
    std::vector<hsize_t> chunk = dims;
    chunk[0] = first_chunk;
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (first_chunk > 0) H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
    if (first_chunk > 0) H5Pset_deflate(creation, 1);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Dclose(set), H5Pclose(creation), H5Sclose(space);
  };
  std::vector<std::uint8_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::uint8_t>(i % 251));
  const auto n = static_cast<hsize_t>(count);
  create("images", H5T_NATIVE_UINT8, {n, kChannels, kHeight, kWidth}, static_cast<hsize_t>(rows),
         pixels(count, true).data());
  create("labels", H5T_NATIVE_UINT8, {n}, 0, labels.data());
  EXPECT_GE(H5Fclose(file), 0);
}

class LargeHdf5Set : public Hdf5Set {
 protected:
  // 2 MB of images with 1 MiB granted; the last chunk holds 3 images. A group is one chunk.
  static constexpr std::int64_t kCount = 20003, kRows = 1000;
  LargeHdf5Set() {
    write_chunked(path(), kCount, kRows);
    options_.hdf5_memory_mib = 1;
  }
};

TEST_F(LargeHdf5Set, ReadsTheSameAsFromMemory) {
  const auto streamed = open_dataset(options_, Split::kTrain);
  const ReadGroups groups = streamed->groups();
  EXPECT_EQ(groups.starts.size(), 21u);
  EXPECT_EQ(groups.at_once, (1 << 20) / (kRows * kImage));
  options_.hdf5_memory_mib = 100;
  const auto loaded = open_dataset(options_, Split::kTrain);
  EXPECT_TRUE(loaded->groups().starts.empty());
  const Samples expected = read_all(*loaded);
  EXPECT_EQ(expected.images, pixels(kCount, false));
  EXPECT_EQ(read_all(*streamed).images, expected.images);
  EXPECT_EQ(read_all(*streamed).labels, expected.labels);
  // Backwards with a stride: every group is evicted and read again.
  for (std::int64_t i = kCount - 1; i >= 0; i -= 997) {
    Bytes image(kImage);
    std::int32_t label = 0;
    streamed->read(&i, 1, image.data(), &label);
    ASSERT_EQ(label, i % 251);
    ASSERT_EQ(image[17], test_byte(i, 17)) << i;
  }
}

TEST_F(LargeHdf5Set, ManyThreadsRead) {
  const auto streamed = open_dataset(options_, Split::kTrain);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = static_cast<std::int64_t>(t); i < kCount; i += 1999) {
        Bytes image(kImage);
        std::int32_t label = 0;
        streamed->read(&i, 1, image.data(), &label);
        wrong[t] += label != i % 251 || image[9] != test_byte(i, 9);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

TEST_F(LargeHdf5Set, ShuffledOrderReadsFewGroupsAtATime) {
  const auto streamed = open_dataset(options_, Split::kTrain);
  const std::int64_t window = streamed->groups().at_once / 2;
  EpochOrder order(*streamed, true, 1);
  order.set_epoch(0);
  const std::vector<std::int64_t> indices = order.indices();
  std::set<std::int64_t> seen(indices.begin(), indices.end());
  EXPECT_EQ(static_cast<std::int64_t>(seen.size()), kCount);
  std::set<std::int64_t> groups;  // of the first window, but for the short last group that may be in it
  for (std::int64_t i = 0; i < (window - 1) * kRows; ++i) groups.insert(indices[static_cast<std::size_t>(i)] / kRows);
  EXPECT_LE(static_cast<std::int64_t>(groups.size()), window);
  EXPECT_GT(static_cast<std::int64_t>(groups.size()), 1);
}

TEST_F(LargeHdf5Set, HoldsOutAValidationSet) {
  options_.validation = 500;
  const TrainingSets sets = open_training(options_);
  EXPECT_EQ(sets.train->size(), kCount - 500);
  EXPECT_EQ(sets.validation->size(), 500);
  const ReadGroups groups = sets.train->groups();
  EXPECT_EQ(groups.starts[0], 0);
  EXPECT_LE(groups.starts.back(), kCount - 500);
  EXPECT_TRUE(std::is_sorted(groups.starts.begin(), groups.starts.end()));
  EpochOrder order(*sets.train, true, 1);
  order.set_epoch(3);
  const std::set<std::int64_t> seen(order.indices().begin(), order.indices().end());
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kCount - 500));
}

TEST_F(LargeHdf5Set, ChunksThatDoNotFit) {
  write_chunked(path(), kCount, 6000);
  EXPECT_EQ(open_error(options_),
            path() +
                ": /images: its chunks of 6000 images are 630000 bytes each, expected at least two of them to fit " +
                "into 1048576 bytes; raise [data] hdf5_memory_mib or write the file with smaller chunks");
}

TEST_F(LargeHdf5Set, DamageIsReportedByTheReadThatMeetsIt) {
  const auto opened = open_dataset(options_, Split::kTrain);
  Bytes bytes = folder_.read("train.h5");
  for (std::size_t i = bytes.size() / 4; i < bytes.size() * 3 / 4; ++i) bytes[i] = 0xFF;
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  const std::string changed =
      path() + ": /images: the file was changed while it was read; run again when it is complete";
  EXPECT_EQ(error_text([&] { read_all(*opened); }), changed);
  // The failed read left nothing wrong in the cache.
  EXPECT_EQ(error_text([&] { read_all(*opened); }), changed);
  const auto again = open_dataset(options_, Split::kTrain);
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(error_text([&] { read_all(*again); }), HasSubstr(path() + ": /images: cannot read it: "));
}

}  // namespace
}  // namespace sluice
