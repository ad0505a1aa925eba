// HDF5 data sets whose values are not all there, or lie in other files: nothing is made up, and nothing is read that
// was not allowed.
#include <gmock/gmock.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using Dims = std::vector<hsize_t>;

constexpr hsize_t kImages = 12, kSide = 4;
const Dims kShape = {kImages, kSide, kSide};

/// Identifiers of the C library are integers; these close themselves with whatever closes them.
class Id {
 public:
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) { EXPECT_GE(id, 0); }
  ~Id() { close_(id_); }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

class Hdf5Gaps : public ::testing::Test {
 protected:
  Hdf5Gaps() {
    options_.kind = DataKind::kHdf5;
    options_.dir = folder_.path();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }

  /// A file with labels, and the images that `make` puts there with this list of how they are stored.
  void write(const std::string& name, const std::function<void(hid_t file, hid_t creation)>& make) {
    const Id file(H5Fcreate((folder_ / name).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
    const Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    make(file, creation);
    const Id plain(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    add(file, "labels", {kImages}, plain, true);
  }
  void add(hid_t file, const std::string& name, const Dims& dims, hid_t creation, bool fill,
           hid_t type = H5T_NATIVE_UINT8) {
    const Id space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Id set(H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
    std::vector<std::uint8_t> values(1 << 12, 3);
    const herr_t written = fill ? H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) : 0;
    EXPECT_GE(written, 0);
  }
  /// Plain images in a file.
  void write_part(const std::string& name, hsize_t images) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write(name, [&](hid_t file, hid_t creation) { add(file, "x", {images, kSide, kSide}, creation, true); });
  }
  /// Maps images of a virtual data set to those of a file.
  static void map(hid_t creation, const std::string& name, hsize_t first, hsize_t count, hsize_t there) {
    const Id space(H5Screate_simple(3, kShape.data(), nullptr), H5Sclose);
    const Dims start = {first, 0, 0}, size = {count, kSide, kSide}, source_size = {there, kSide, kSide};
    EXPECT_GE(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr), 0);
    const Id source(H5Screate_simple(3, source_size.data(), nullptr), H5Sclose);
    const Dims zero = {0, 0, 0};
    EXPECT_GE(H5Sselect_hyperslab(source, H5S_SELECT_SET, zero.data(), nullptr, size.data(), nullptr), 0);
    EXPECT_GE(H5Pset_virtual(creation, space, name.c_str(), "x", source), 0);
  }
  void write_virtual(const std::vector<std::string>& parts, hsize_t each) {
    write("train.h5", [&](hid_t file, hid_t creation) {
      for (std::size_t i = 0; i < parts.size(); ++i) map(creation, parts[i], i * each, each, each);
      add(file, "images", kShape, creation, false);
    });
  }
  std::string error() {
    return error_text([&] { read_all(*open_dataset(options_, Split::kTrain)); });
  }
  /// "…/train.h5: /images: "
  std::string images() const { return folder_ / "train.h5: /images: "; }

  TempFolder folder_;
  DataOptions options_;
};

TEST_F(Hdf5Gaps, ChunksThatWereNeverWritten) {
  const auto chunked = [](hid_t creation, hsize_t rows) {
    const Dims chunk = {rows, kSide, 3};
    EXPECT_GE(H5Pset_chunk(creation, 3, chunk.data()), 0);
  };
  write("train.h5", [&](hid_t file, hid_t creation) {
    chunked(creation, 5);
    add(file, "images", kShape, creation, false);
    const Id set(H5Dopen2(file, "images", H5P_DEFAULT), H5Dclose), space(H5Dget_space(set), H5Sclose);
    const Dims start = {0, 0, 0}, size = {8, kSide, kSide};
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
    const Id memory(H5Screate_simple(3, size.data(), nullptr), H5Sclose);
    const std::vector<std::uint8_t> values(8 * kSide * kSide, 9);
    EXPECT_GE(H5Dwrite(set, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, values.data()), 0);
  });
  EXPECT_EQ(error(), images() +
                         "its chunk at 10x0x0 was never written (4 of 6 chunks are stored); complete the file, or take "
                         "one that is");
  write("train.h5", [&](hid_t file, hid_t creation) {
    chunked(creation, 1);
    add(file, "images", {hsize_t{1} << 40, 1 << 15, 1 << 15}, creation, false);
  });
  EXPECT_THAT(error(), HasSubstr(images()));  // at once, not after counting to 2^40
  write("train.h5", [&](hid_t file, hid_t creation) { add(file, "images", kShape, creation, false); });
  EXPECT_EQ(error(), images() + "claims shape 12x4x4 but stores 0 bytes");
}

TEST_F(Hdf5Gaps, ShapesThatClaimMoreThanIsStored) {
  write("train.h5", [&](hid_t file, hid_t creation) {
    H5Pset_layout(creation, H5D_COMPACT);
    add(file, "images", {11, kSide, kSide}, creation, true);
  });
  Bytes bytes = folder_.read("train.h5");
  for (std::size_t i = 0; i + 24 < bytes.size(); ++i) {  // the first of the sizes 11, 4, 4
    if (bytes[i] == 11 && bytes[i + 8] == kSide && bytes[i + 16] == kSide) bytes[i] = kImages;
  }
  folder_.write("train.h5", bytes);
  EXPECT_EQ(error(), images() + "claims shape 12x4x4 but stores 176 bytes");
}

TEST_F(Hdf5Gaps, PartsOfVirtualDataSets) {
  write_part("a.h5", 6), write_part("b.h5", 6);
  write_virtual({"a.h5", "b.h5"}, 6);
  EXPECT_EQ(read_all(*open_dataset(options_, Split::kTrain)).images, Bytes(kImages * kSide * kSide, 3));
  write_part("b.h5", 5);
  EXPECT_EQ(error(),
            (folder_ / "b.h5: /x: has not the shape of what ") + (folder_ / "train.h5 takes from it; complete it"));
  folder_.write("b.h5", "text");
  EXPECT_THAT(error(), HasSubstr(images() + "its part " + (folder_ / "b.h5 cannot be opened: ")));
  std::filesystem::remove(folder_ / "b.h5");
  EXPECT_EQ(error(), images() + "its part " + (folder_ / "b.h5 is missing; put it back"));
  ASSERT_EQ(::mkfifo((folder_ / "b.h5").c_str(), 0600), 0);
  EXPECT_EQ(error(), images() + "its part " + (folder_ / "b.h5 is no regular file"));
  write_virtual({"a.h5"}, 6);
  EXPECT_EQ(error(), images() + "its 1 parts hold 96 of 192 elements");
  write("train.h5", [&](hid_t file, hid_t creation) {
    map(creation, "a.h5", 0, 6, 6), map(creation, "a.h5", 5, 6, 6);
    add(file, "images", kShape, creation, false);
  });
  EXPECT_EQ(error(), images() + "its parts overlap");
}

TEST_F(Hdf5Gaps, PartsElsewhereNeedAFolder) {
  const TempFolder other;
  write_part("a.h5", 6), write_part("below/b.h5", 6);
  std::filesystem::rename(folder_ / "a.h5", other / "a.h5");
  write_virtual({other / "a.h5", "below/b.h5"}, 6);
  const std::string advice = "; set [data] hdf5_external to the folder that such files may lie in";
  const std::string refused =
      images() + "its values lie in another file, " + (other / "a.h5, which is not read") + advice;
  EXPECT_EQ(error(), refused);
  options_.hdf5_external = folder_ / "below";
  EXPECT_EQ(error(), refused);
  options_.hdf5_external = other.path();
  EXPECT_EQ(error(), "no error");
  // A symbolic link out of the folder is where it leads.
  options_.hdf5_external = "";
  std::filesystem::create_symlink(other / "a.h5", folder_ / "link.h5");
  write_virtual({"link.h5", "below/b.h5"}, 6);
  EXPECT_EQ(error(), images() + "its values lie in another file, link.h5, which is not read" + advice);
}

TEST_F(Hdf5Gaps, ExternalStorageNeedsAFolder) {
  folder_.write("private.bin", Bytes(kImages * kSide * kSide - 1, 65));
  write("train.h5", [&](hid_t file, hid_t creation) {
    H5Pset_external(creation, "private.bin", 0, H5F_UNLIMITED);
    add(file, "images", kShape, creation, false);
  });
  EXPECT_EQ(error(), images() +
                         "its values lie in another file, private.bin, which is not read; set [data] hdf5_external to "
                         "the folder that such files may lie in");
  options_.hdf5_external = folder_.path();
  EXPECT_EQ(error(), images() + "its part " + (folder_ / "private.bin is too short: it holds 191 of 192 bytes"));
  folder_.write("private.bin", Bytes(kImages * kSide * kSide, 65));
  EXPECT_EQ(read_all(*open_dataset(options_, Split::kTrain)).images, Bytes(kImages * kSide * kSide, 65));
}

TEST_F(Hdf5Gaps, LinksNeedAFolder) {
  write_part("a.h5", kImages);
  write("train.h5", [](hid_t file, hid_t) {
    H5Lcreate_external("a.h5", "/", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/elsewhere/x", file, "images", H5P_DEFAULT, H5P_DEFAULT);
  });
  const std::string refused = (folder_ / "train.h5: /: a link leads into another file (a.h5, /), which is not ") +
                              "read; set [data] hdf5_external to the folder that such files may lie in";
  EXPECT_EQ(error(), refused);
  options_.hdf5_images = "elsewhere/x";
  EXPECT_EQ(error(), refused);
  options_.hdf5_external = folder_.path();
  EXPECT_EQ(error(), "no error");
  options_.hdf5_images = "images";
  EXPECT_EQ(error(), "no error");
}

TEST_F(Hdf5Gaps, FilesThatChangeWhileTheyAreRead) {
  const hsize_t many = 1 << 15;
  write("train.h5", [&](hid_t file, hid_t creation) {
    add(file, "labels2", {many}, creation, false);
    const Dims dims = {many, 8, 8};
    const Id space(H5Screate_simple(3, dims.data(), nullptr), H5Sclose);
    const Id set(H5Dcreate2(file, "images", H5T_NATIVE_UINT8, space, H5P_DEFAULT, creation, H5P_DEFAULT), H5Dclose);
    const Id labels(H5Dopen2(file, "labels2", H5P_DEFAULT), H5Dclose);
    const std::vector<std::uint8_t> values(many * 64, 5);
    H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dwrite(labels, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  });
  options_.hdf5_labels = "labels2";
  options_.hdf5_memory_mib = 1;
  const auto opened = open_dataset(options_, Split::kTrain);
  ASSERT_EQ(read_all(*opened).images, Bytes(many * 64, 5));
  std::filesystem::resize_file(folder_ / "train.h5", 100000);
  const std::string changed = images() + "the file was changed while it was read; run again when it is complete";
  EXPECT_EQ(error_text([&] { read_all(*opened); }), changed);
  EXPECT_EQ(error_text([&] { read_all(*opened); }), changed);
}

TEST_F(Hdf5Gaps, NamesWithSlashes) {
  write("train.h5", [&](hid_t file, hid_t creation) {
    const Id group(H5Gcreate2(file, "set", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    add(group, "x", kShape, creation, true), add(group, "y", {kImages}, creation, true);
  });
  for (const std::string begin : {"", "/", "//"}) {
    options_.hdf5_images = begin + "set/x";
    options_.hdf5_labels = begin + "set/y";
    EXPECT_EQ(error(), "no error") << begin;
  }
  options_.hdf5_train_group = "/set";
  options_.hdf5_images = "x";
  options_.hdf5_labels = "/set/y";
  EXPECT_EQ(error(), "no error");
  options_.hdf5_labels = "/";
  EXPECT_EQ(error(), (folder_ / "train.h5: /: is missing, expected a data set"));
}

TEST_F(Hdf5Gaps, MissingFiltersAndOtherTypesAreNamed) {
  const auto write_filtered = [&](H5Z_filter_t filter) {
    write("train.h5", [&](hid_t file, hid_t creation) {
      const Dims chunk = kShape;
      H5Pset_chunk(creation, 3, chunk.data());
      H5Pset_filter(creation, filter, H5Z_FLAG_OPTIONAL, 0, nullptr);
      add(file, "images", kShape, creation, false);
      const Id set(H5Dopen2(file, "images", H5P_DEFAULT), H5Dclose);
      const Dims zero = {0, 0, 0};
      EXPECT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, zero.data(), 7, "abcdefg"), 0);
    });
    return error();
  };
  const std::string advice =
      ", which is not there; put its plug-in where HDF5_PLUGIN_PATH says, or write the file anew with gzip or without "
      "compression";
  EXPECT_EQ(write_filtered(32000), images() + "is packed with the HDF5 filter lzf (32000)" + advice);
  EXPECT_EQ(write_filtered(32015), images() + "is packed with the HDF5 filter zstd (32015)" + advice);
  EXPECT_EQ(write_filtered(300), images() + "is packed with the HDF5 filter without a name (300)" + advice);

  const auto write_typed = [&](hid_t type) {
    write("train.h5", [&](hid_t file, hid_t creation) { add(file, "images", kShape, creation, true, type); });
    return error();
  };
  const std::string expected = ", expected uint8 (pixels of 0 to 255)";
  const Id opaque(H5Tcreate(H5T_OPAQUE, 1), H5Tclose), record(H5Tcreate(H5T_COMPOUND, 1), H5Tclose);
  H5Tinsert(record, "r", 0, H5T_NATIVE_UINT8);
  const hsize_t three = 3;
  const Id array(H5Tarray_create2(H5T_NATIVE_UINT8, 1, &three), H5Tclose);
  EXPECT_EQ(write_typed(opaque), images() + "holds opaque bytes" + expected);
  EXPECT_EQ(write_typed(record), images() + "holds records" + expected);
  EXPECT_EQ(write_typed(array), images() + "holds arrays of uint8" + expected);
  EXPECT_EQ(write_typed(H5T_STD_B8LE), images() + "holds bit fields" + expected);
}

TEST_F(Hdf5Gaps, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(::mkfifo((folder_ / "train.h5").c_str(), 0600), 0);
  EXPECT_EQ(error(), folder_ / "train.h5: is no regular file, expected an HDF5 file");
}

}  // namespace
}  // namespace sluice
