// HDF5 data sets: a reader fills memory that both share. A set that fits into what is granted to it is read whole; a
// larger one is read in groups of images (whole HDF5 chunks), of which the most recently used are kept.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "core/base/error.hpp"
#include "core/data/formats.hpp"
#include "core/data/input_file.hpp"
#include "core/data/memory.hpp"
#include "core/data/packed.hpp"
#include "core/data/remote_images.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

class StreamedDataset : public Dataset {
 public:
  /// Keeps up to `at_once` groups of `rows` images.
  StreamedDataset(DatasetInfo info, std::unique_ptr<RemoteImages> file, std::int64_t at_once)
      : Dataset(std::move(info)),
        labels_(std::move(file->set().labels)),
        rows_(file->set().rows),
        cache_(std::move(file), starts(size(), rows_), at_once) {}

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    const std::int64_t bytes = shape().count();
    const std::lock_guard<std::mutex> lock(mutex_);
    for (std::int64_t i = 0; i < count;) {
      const auto group_of = [this, from = indices + i](std::int64_t n) { return from[n] / rows_; };
      for (const std::int64_t end = i + cache_.claim(count - i, group_of); i < end; ++i) {
        const std::uint8_t* const group = cache_.fetch(indices[i] / rows_);
        std::memcpy(images + i * bytes, group + indices[i] % rows_ * bytes, static_cast<std::size_t>(bytes));
        labels[i] = labels_[static_cast<std::size_t>(indices[i])];
      }
    }
  }

  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) labels[i] = labels_[static_cast<std::size_t>(indices[i])];
  }

  ReadGroups groups() const override {
    ReadGroups result;
    result.at_once = cache_.at_once();
    result.starts = starts(size(), rows_);
    result.starts.pop_back();
    return result;
  }

 private:
  /// Of groups, and the end.
  static std::vector<std::int64_t> starts(std::int64_t images, std::int64_t rows) {
    std::vector<std::int64_t> starts;
    for (std::int64_t first = 0; first < images; first += rows) starts.push_back(first);
    starts.push_back(images);
    return starts;
  }

  const std::vector<std::int32_t> labels_;
  const std::int64_t rows_;  // of a group
  mutable std::mutex mutex_;
  mutable GroupCache cache_;
};

Classes find_classes(const DataOptions& options, ImageSet& set) {
  Classes classes = resolve_classes(options, 0, std::move(set.class_names), set.labels_where, set.labels);
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    if (set.labels[i] < classes.count) continue;
    throw Error(ExitCode::kData,
                concat(set.labels_where, ": element ", i, ": expected a label below ", classes.count,
                       ", the number of classes, got ", set.labels[i], counted_from_one(set.labels, classes.count),
                       "; check class_names in the file and [data] classes"));
  }
  return classes;
}

std::unique_ptr<Dataset> make_streamed(DatasetInfo info, std::unique_ptr<RemoteImages> file,
                                       std::int64_t memory_bytes) {
  const std::int64_t rows = file->set().rows, group_bytes = rows * info.shape.count();
  const std::int64_t at_once = memory_bytes / group_bytes;
  if (at_once < 2) {
    throw Error(ExitCode::kData, concat(info.name, ": its chunks of ", rows, " images are ", group_bytes,
                                        " bytes each, expected at least two of them to fit into ", memory_bytes,
                                        " bytes; raise [data] hdf5_memory_mib or write the file with smaller chunks"));
  }
  return std::make_unique<StreamedDataset>(std::move(info), std::move(file), at_once);
}

std::unique_ptr<Dataset> make_loaded(DatasetInfo info, const std::unique_ptr<RemoteImages>& file) {
  file->load();
  return std::make_unique<MemoryDataset>(std::move(info), file->memory(), std::move(file->set().labels));
}

}  // namespace

std::unique_ptr<Dataset> open_hdf5(const DataOptions& options, Split split) {
  const bool test = split == Split::kTest;
  const std::string path = (fs::path(options.dir) / (test ? options.hdf5_test : options.hdf5_train)).string();
  if (!path_exists(path)) {
    throw Error(ExitCode::kData, concat(path, ": no such file; set [data] dir and hdf5_", test ? "test" : "train"));
  }
  const ImagePlace place{path, test ? options.hdf5_test_group : options.hdf5_train_group, options.hdf5_images,
                         options.hdf5_labels, options.hdf5_external};
  auto file = std::make_unique<RemoteImages>(place, options.hdf5_timeout);
  ImageSet& set = file->set();
  Classes classes = find_classes(options, set);
  if (set.encoded()) return make_packed(options, std::move(classes), std::move(file));
  DatasetInfo info{set.images_where, set.size, set.shape, classes.count, std::move(classes.names)};
  const std::int64_t memory_bytes = options.hdf5_memory_mib << 20;
  if (info.size > memory_bytes / info.shape.count())
    return make_streamed(std::move(info), std::move(file), memory_bytes);
  return make_loaded(std::move(info), file);
}

}  // namespace sluice
