// The keys of the [data] section: which data set, what is held out of it, and how its images are prepared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/image_shape.hpp"

namespace sluice {

class Keys;

enum class DataKind { kCifar10, kCifar100, kIdx, kHdf5, kFolder, kSynthetic };
/// The key's value: "cifar10", "cifar100", "idx", "hdf5", "folder", "synthetic".
std::string to_string(DataKind kind);

/// Names that belong to one kind of data set start with it, so that a configuration may keep them when another kind is
/// chosen on the command line. Relative paths are relative to the working directory.
struct DataOptions {
  DataKind kind = DataKind::kCifar10;
  std::string dir = "data";
  std::int64_t classes = 0;
  std::vector<std::string> class_names;
  std::int64_t pad_to = 0;
  std::int64_t channels = 0;
  std::int64_t validation = 0;
  std::int64_t validation_seed = 1;
  std::int64_t validation_from = 0;
  std::vector<std::string> mean = {"measure"};
  std::vector<std::string> std = {"measure"};
  bool augment = false;
  std::int64_t crop_padding = 4;
  bool flip = true;
  bool balance = false;
  double mixup = 0;
  double cutmix = 0;
  std::string transforms;
  std::string eval_transforms;
  bool fast_decode = true;
  bool skip_bad_images = false;
  std::int64_t max_pixels = 100'000'000;
  std::int64_t workers = 1;
  std::int64_t prefetch = 4;

  bool cifar100_coarse = false;

  std::string idx_train_images = "train-images-idx3-ubyte";
  std::string idx_train_labels = "train-labels-idx1-ubyte";
  std::string idx_test_images = "t10k-images-idx3-ubyte";
  std::string idx_test_labels = "t10k-labels-idx1-ubyte";

  std::string hdf5_train = "train.h5";
  std::string hdf5_test = "test.h5";
  std::string hdf5_train_group = "/";
  std::string hdf5_test_group = "/";
  std::string hdf5_images = "images";
  std::string hdf5_labels = "labels";
  std::int64_t hdf5_memory_mib = 1024;
  std::string hdf5_external;
  double hdf5_timeout = 120;

  std::string folder_train = "train";
  std::string folder_test;
  double folder_test_share = 0.2;

  std::int64_t synthetic_size = 10000;
  std::int64_t synthetic_test_size = 1000;
  std::string synthetic_image = "3x32x32";
  std::int64_t synthetic_seed = 1;

  /// Reads, checks or documents every key of the section.
  void describe(Keys& keys);
};

}  // namespace sluice
