// HDF5 data sets: a reader fills memory that both share. A set that fits into what is granted to it is read whole; a
// larger one is read in groups of images (whole HDF5 chunks), of which the most recently used are kept.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <list>
#include <mutex>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/signals.hpp"
#include "core/data/formats.hpp"
#include "core/data/hdf5_images.hpp"
#include "core/data/input_file.hpp"
#include "core/data/memory.hpp"
#include "core/reader/reader_process.hpp"
#include "core/reader/shared_memory.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

/// A file that is open in a reader. Every failure is an Error(kData) that names the file.
class RemoteImages {
 public:
  RemoteImages(const ImagePlace& place, double timeout_seconds)
      : file_(place.file), reader_("images", limits(timeout_seconds), memory_.descriptor()) {
    safely([&] {
      reader_.ask(ImageRequest::kOpen, place);
      reader_.wait();
      set_ = reader_.get<ImageSet>();
      const bool sound = set_.size > 0 && set_.rows > 0 && set_.shape.channels > 0 && set_.shape.height > 0 &&
                         set_.shape.width > 0 && static_cast<std::int64_t>(set_.labels.size()) == set_.size;
      if (!sound) reader_.reject();
    });
  }

  ImageSet& set() { return set_; }
  /// Memory for so many images. Once.
  void share(std::int64_t images) {
    const std::int64_t bytes = images * set_.shape.count();
    memory_.resize(bytes);
    safely([&] {
      reader_.ask(ImageRequest::kShare, bytes);
      reader_.wait();
    });
  }
  /// Takes memory for images that will be asked for next, while the reader is busy.
  void reserve(std::int64_t first, std::int64_t count) const {
    if (count > 0) memory_.reserve(first * set_.shape.count(), count * set_.shape.count());
  }
  const std::shared_ptr<std::uint8_t>& memory() const { return memory_.data(); }
  /// Asks for images [first, first + count), to be written to memory from the place of image `at` on. Several may be on
  /// their way.
  void ask(std::int64_t first, std::int64_t count, std::int64_t at) {
    safely([&] { reader_.ask(ImageRequest::kRead, first, count, at * set_.shape.count()); });
  }
  /// Waits for the oldest of them.
  void wait() {
    safely([&] { reader_.wait(); });
  }

 private:
  static ReaderLimits limits(double timeout_seconds) {
    ReaderLimits limits;
    limits.seconds = timeout_seconds;
    return limits;
  }
  template <class Work>
  void safely(Work work) {
    read_safely(file_, ExitCode::kData, work);
  }

  std::string file_;
  SharedMemory memory_;
  ReaderProcess reader_;
  ImageSet set_;
};

class StreamedDataset : public Dataset {
 public:
  /// Keeps up to `at_once` groups.
  StreamedDataset(DatasetInfo info, std::unique_ptr<RemoteImages> file, std::int64_t at_once)
      : Dataset(std::move(info)),
        labels_(std::move(file->set().labels)),
        rows_(file->set().rows),
        at_once_(std::min(at_once, groups_of(size(), rows_))),
        file_(std::move(file)),
        place_(static_cast<std::size_t>(groups_of(size(), rows_)), cache_.end()),
        run_of_(place_.size(), 0) {
    file_->share(at_once_ * rows_);
  }

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    const std::int64_t bytes = shape().count();
    const std::lock_guard<std::mutex> lock(mutex_);
    for (std::int64_t i = 0; i < count;) {
      for (const std::int64_t end = i + claim(indices + i, count - i); i < end; ++i) {
        const std::uint8_t* const group = fetch(indices[i] / rows_);
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
    result.at_once = at_once_;
    for (std::int64_t first = 0; first < size(); first += rows_) result.starts.push_back(first);
    return result;
  }

 private:
  struct Cached {
    std::int64_t group;
    std::int64_t slot;  // of the shared memory
    bool there;         // or asked for
  };
  using Cache = std::list<Cached>;
  static constexpr std::int64_t kMostAsked = 32;

  static std::int64_t groups_of(std::int64_t images, std::int64_t rows) { return (images + rows - 1) / rows; }

  /// Asks for the groups of as many images as fit into memory together, so that the reader is ahead of what is copied.
  /// Returns how many images these are.
  std::int64_t claim(const std::int64_t* indices, std::int64_t count) const {
    ++run_;
    std::int64_t i = 0;
    for (std::int64_t claimed = 0; i < count; ++i) {
      const std::int64_t group = indices[i] / rows_;
      std::int64_t& run = run_of_[static_cast<std::size_t>(group)];
      if (run == run_) continue;
      if (claimed++ == at_once_) break;
      run = run_;
      claim_group(group);
    }
    return i;
  }

  /// The group becomes the first of the cache; it is asked for where it is not there.
  void claim_group(std::int64_t group) const {
    // Both sides would wait for ever if neither took what the other sends.
    if (static_cast<std::int64_t>(asked_.size()) == kMostAsked) take_answer();
    Cache::iterator& place = place_[static_cast<std::size_t>(group)];
    if (place != cache_.end()) {
      cache_.splice(cache_.begin(), cache_, place);
      return;
    }
    if (static_cast<std::int64_t>(cache_.size()) < at_once_) {
      cache_.push_front({-1, static_cast<std::int64_t>(cache_.size()), false});
    } else {
      cache_.splice(cache_.begin(), cache_, std::prev(cache_.end()));
    }
    place = cache_.begin();
    if (place->group >= 0) place_[static_cast<std::size_t>(place->group)] = cache_.end();
    *place = {group, place->slot, false};
    const std::int64_t first = group * rows_;
    asked_.push_back(place);
    file_->ask(first, std::min(rows_, size() - first), place->slot * rows_);
  }

  /// The images of a group that was claimed.
  const std::uint8_t* fetch(std::int64_t group) const {
    const Cached& wanted = *place_[static_cast<std::size_t>(group)];
    while (!wanted.there) take_answer();
    return file_->memory().get() + wanted.slot * rows_ * shape().count();
  }

  void take_answer() const {
    const Cache::iterator next = asked_.front();
    asked_.pop_front();
    try {
      file_->wait();
      next->there = true;
    } catch (...) {
      place_[static_cast<std::size_t>(std::exchange(next->group, -1))] = cache_.end();
      abandon();
      throw;
    }
  }

  /// Takes the answers that are still to come, so that a later read begins anew.
  void abandon() const {
    while (!asked_.empty()) {
      const Cache::iterator next = asked_.front();
      asked_.pop_front();
      try {
        file_->wait();
        next->there = true;
      } catch (const Error&) {
        place_[static_cast<std::size_t>(std::exchange(next->group, -1))] = cache_.end();
      }
    }
  }

  const std::vector<std::int32_t> labels_;
  const std::int64_t rows_;  // of a group
  const std::int64_t at_once_;
  mutable std::mutex mutex_;  // guards what follows
  const std::unique_ptr<RemoteImages> file_;
  mutable Cache cache_;                         // most recently used first
  mutable std::vector<Cache::iterator> place_;  // of each group in the cache; its end where it is not there
  mutable std::list<Cache::iterator> asked_;    // in order
  mutable std::vector<std::int64_t> run_of_;    // the last run that each group was claimed for
  mutable std::int64_t run_ = 0;
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
  constexpr std::int64_t kShareBytes = 8 << 20;
  const std::int64_t rows = file->set().rows;
  const std::int64_t block = rows * std::max<std::int64_t>(1, kShareBytes / info.shape.count() / rows);
  file->share(info.size);
  for (std::int64_t first = 0; first < info.size; first += block) {
    throw_if_stopped();
    file->ask(first, std::min(block, info.size - first), first);
    file->reserve(first + block, std::min(block, info.size - first - block));
    file->wait();
  }
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
  DatasetInfo info{set.images_where, set.size, set.shape, classes.count, std::move(classes.names)};
  const std::int64_t memory_bytes = options.hdf5_memory_mib << 20;
  if (info.size > memory_bytes / info.shape.count())
    return make_streamed(std::move(info), std::move(file), memory_bytes);
  return make_loaded(std::move(info), file);
}

}  // namespace sluice
