// Where packed pictures come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.hpp"

namespace sluice {

/// One picture of a source.
struct SourcePicture {
  std::string name;  ///< below its source
  Split split = Split::kTrain;
  std::int32_t label = 0;
  std::string bytes;    ///< of its file
  std::string problem;  ///< why they cannot be read; else empty
};

/// Labelled pictures of a training set and, perhaps, a test set, in an order of its own.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  /// One for each class, or none.
  virtual const std::vector<std::string>& class_names() const = 0;
  virtual const std::vector<std::string>& warnings() const = 0;
  virtual std::int64_t size() const = 0;
  /// Channels, height and width of all pictures, where they come as pixels; else nothing.
  virtual std::optional<ImageShape> pixels() const { return std::nullopt; }
  /// The next picture, without its bytes where they are not wanted; to be called size() times. Throws Error(kData)
  /// where the source itself cannot be read.
  virtual SourcePicture next(bool wanted) = 0;
};

struct SourceOptions {
  double test_share = 0;        ///< of a folder that holds the classes itself
  std::int64_t max_pixels = 0;  ///< bounds the bytes of a file
  std::string class_names;      ///< file with a line for each class; empty: none
};

/// A folder as [data] kind = folder reads it. Throws Error(kData).
std::unique_ptr<PictureSource> open_folder_source(const std::string& folder, const SourceOptions& options);

/// Tar files, packed by gzip, bzip2, xz or zstd or not: pictures in folders of classes, or WebDataset's pairs NAME.jpg
/// and NAME.cls. Without `test` their folders may say what is the test set. Throws Error(kData), and
/// Error(kEnvironment) where this build reads none.
std::unique_ptr<PictureSource> open_tar_source(const std::vector<std::string>& train,
                                               const std::vector<std::string>& test, const SourceOptions& options);

/// A folder or file of another data set, whose pictures come as PPM and PGM: CIFAR's Python version, IDX files of MNIST
/// and its relatives, STL-10, SVHN, NumPy's npz. Null where it is none of these. Throws Error(kData) where it is
/// damaged.
std::unique_ptr<PictureSource> open_array_source(const std::string& path, const SourceOptions& options);

}  // namespace sluice
