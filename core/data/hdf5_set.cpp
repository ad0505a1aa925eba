// HDF5 data sets: images and labels in a group of a file. A set that fits into the memory granted to it is read whole;
// a larger one is read in groups of images (whole HDF5 chunks), of which the most recently used are kept.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>

#include "core/base/error.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/data/formats.hpp"
#include "core/data/input_file.hpp"
#include "core/data/memory.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxClasses = 1 << 24;
constexpr std::int64_t kSmallestGroupBytes = 64 << 10;  // smaller reads cost more than the bytes they bring

struct Layout {
  bool planes = false;  // N x C x H x W
  ImageShape shape;
};

[[noreturn]] void fail(const Hdf5Object& object, const std::string& problem) {
  throw Error(ExitCode::kData, concat(object.where(), ": ", problem));
}

/// Whether a four-dimensional array is N x C x H x W.
bool has_planes(const Hdf5DataSet& images) {
  if (images.has_attribute("layout")) {
    const std::vector<std::string> texts = images.text_attribute("layout");
    const std::string layout = texts.empty() ? "" : texts[0];
    if (layout != "NHWC" && layout != "NCHW") {
      fail(images, concat("attribute 'layout': expected NHWC or NCHW, got '", layout, "'"));
    }
    return layout == "NCHW";
  }
  const auto few = [](std::int64_t size) { return size == 1 || size == 3; };
  const bool first = few(images.shape()[1]), last = few(images.shape()[3]);
  if (first == last) {
    fail(images, concat("the shape ", to_string(images.shape()), " does not tell where the channels are (",
                        first ? "both" : "neither", " of the second and the last size ", first ? "are" : "is",
                        " 1 or 3); add an attribute 'layout' with the text NHWC or NCHW"));
  }
  return first;
}

Layout find_layout(const Hdf5DataSet& images) {
  const ElementType type = images.info().type;
  if (type.kind != ElementType::Kind::kUnsigned || type.bytes != 1) {
    fail(images, concat("holds ", to_string(type), ", expected uint8 (pixels of 0 to 255)"));
  }
  const Shape& dims = images.shape();
  if (dims.rank() != 3 && dims.rank() != 4) {
    fail(images, concat("expected N x height x width, or that with channels, got the shape ", to_string(dims)));
  }
  for (std::size_t axis = 0; axis < dims.rank(); ++axis) {
    const bool images_axis = axis == 0;
    if (dims[axis] >= 1 && (images_axis || dims[axis] <= kMaxImageSide)) continue;
    fail(images,
         concat("expected sizes of 1 to ", kMaxImageSide, " and at least one image, got the shape ", to_string(dims)));
  }
  if (dims.rank() == 3) return {false, {1, dims[1], dims[2]}};
  const bool planes = has_planes(images);
  if (planes) return {true, {dims[1], dims[2], dims[3]}};
  return {false, {dims[3], dims[1], dims[2]}};
}

/// Reads runs of images and turns them into pixels of channels.
class ImageReader {
 public:
  ImageReader(Hdf5DataSet images, const Layout& layout) : images_(std::move(images)), layout_(layout) {
    const std::int64_t bytes = layout_.shape.count();
    const std::vector<std::int64_t>& chunk = images_.info().chunk;
    const std::int64_t unit = chunk.empty() ? 1 : chunk[0];
    rows_ = std::min(size(), unit * std::max<std::int64_t>(1, kSmallestGroupBytes / bytes / unit));
  }

  std::int64_t size() const { return images_.shape()[0]; }
  /// Images of a group, the last one excepted.
  std::int64_t rows() const { return rows_; }
  std::int64_t groups() const { return (size() + rows_ - 1) / rows_; }

  /// Reads one group: its images x height x width x channels. Not for several threads at a time.
  void read(std::int64_t group, std::uint8_t* to) {
    std::vector<std::int64_t> offset(images_.shape().rank(), 0), count = images_.shape().dims();
    offset[0] = group * rows_;
    count[0] = std::min(rows_, size() - offset[0]);
    if (!layout_.planes || layout_.shape.channels == 1) return images_.read(offset, count, to);
    planes_.resize(static_cast<std::size_t>(rows_ * layout_.shape.count()));
    images_.read(offset, count, planes_.data());
    for (std::int64_t i = 0; i < count[0]; ++i) {
      interleave(planes_.data() + i * layout_.shape.count(), to + i * layout_.shape.count());
    }
  }

 private:
  void interleave(const std::uint8_t* planes, std::uint8_t* pixels) const {
    const std::int64_t channels = layout_.shape.channels, area = layout_.shape.height * layout_.shape.width;
    for (std::int64_t i = 0; i < area; ++i) {
      for (std::int64_t c = 0; c < channels; ++c) pixels[i * channels + c] = planes[c * area + i];
    }
  }

  Hdf5DataSet images_;
  Layout layout_;
  std::int64_t rows_ = 0;
  std::vector<std::uint8_t> planes_;
};

class StreamedDataset : public Dataset {
 public:
  StreamedDataset(DatasetInfo info, ImageReader reader, std::vector<std::int32_t> labels, std::int64_t at_once)
      : Dataset(std::move(info)),
        labels_(std::move(labels)),
        at_once_(at_once),
        reader_(std::move(reader)),
        place_(static_cast<std::size_t>(reader_.groups()), cache_.end()) {}

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    const std::int64_t bytes = shape().count();
    const std::lock_guard<std::mutex> lock(mutex_);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = indices[i] % reader_.rows();
      const std::uint8_t* const group = fetch(indices[i] / reader_.rows());
      std::memcpy(images + i * bytes, group + row * bytes, static_cast<std::size_t>(bytes));
      labels[i] = labels_[static_cast<std::size_t>(indices[i])];
    }
  }

  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) labels[i] = labels_[static_cast<std::size_t>(indices[i])];
  }

  ReadGroups groups() const override {
    ReadGroups result;
    result.at_once = at_once_;
    for (std::int64_t group = 0; group < reader_.groups(); ++group) result.starts.push_back(group * reader_.rows());
    return result;
  }

 private:
  struct Cached {
    std::int64_t group;
    std::vector<std::uint8_t> images;
  };
  using Cache = std::list<Cached>;

  /// The images of a group, which becomes the first of the cache.
  const std::uint8_t* fetch(std::int64_t group) const {
    Cache::iterator& place = place_[static_cast<std::size_t>(group)];
    if (place != cache_.end()) {
      cache_.splice(cache_.begin(), cache_, place);
      return place->images.data();
    }
    if (static_cast<std::int64_t>(cache_.size()) < at_once_) {
      cache_.push_front({-1, std::vector<std::uint8_t>(static_cast<std::size_t>(reader_.rows() * shape().count()))});
    } else {
      cache_.splice(cache_.begin(), cache_, std::prev(cache_.end()));
    }
    Cached& entry = cache_.front();
    if (entry.group >= 0) place_[static_cast<std::size_t>(entry.group)] = cache_.end();
    entry.group = -1;  // until the read has succeeded
    reader_.read(group, entry.images.data());
    entry.group = group;
    place = cache_.begin();
    return entry.images.data();
  }

  const std::vector<std::int32_t> labels_;
  const std::int64_t at_once_;
  mutable std::mutex mutex_;  // guards what follows
  mutable ImageReader reader_;
  mutable Cache cache_;                         // most recently used first
  mutable std::vector<Cache::iterator> place_;  // of each group in the cache; its end where it is not there
};

std::vector<std::int32_t> read_labels(const Hdf5DataSet& data_set, std::int64_t images) {
  const ElementType type = data_set.info().type;
  if (type.kind != ElementType::Kind::kSigned && type.kind != ElementType::Kind::kUnsigned) {
    fail(data_set, concat("holds ", to_string(type), ", expected integers"));
  }
  const Shape& shape = data_set.shape();
  const bool flat = shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1);
  if (!flat || shape[0] != images) {
    fail(data_set, concat("expected a label for each of the ", images, " images, got the shape ", to_string(shape)));
  }
  const std::vector<std::int64_t> wide = data_set.read<std::int64_t>();
  std::vector<std::int32_t> labels(wide.size());
  for (std::size_t i = 0; i < wide.size(); ++i) {
    if (wide[i] < 0 || wide[i] >= kMaxClasses) {
      fail(data_set, concat("element ", i, ": expected a label of 0 to ", kMaxClasses - 1, ", got ", wide[i]));
    }
    labels[i] = static_cast<std::int32_t>(wide[i]);
  }
  return labels;
}

Classes find_classes(const DataOptions& options, const Hdf5File& file, const Hdf5Group& group,
                     const Hdf5DataSet& label_set, const std::vector<std::int32_t>& labels) {
  std::vector<std::string> names;
  if (group.has_data_set("class_names")) {
    names = group.data_set("class_names").read_text();
  } else if (file.has_data_set("class_names")) {
    names = file.data_set("class_names").read_text();
  }
  Classes classes = resolve_classes(options, 0, std::move(names), label_set.where(), labels);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < classes.count) continue;
    fail(label_set,
         concat("element ", i, ": expected a label below ", classes.count, ", the number of classes, got ", labels[i],
                counted_from_one(labels, classes.count), "; check class_names in the file and [data] classes"));
  }
  return classes;
}

/// The group of that name; nothing for the file's root.
std::optional<Hdf5Group> open_below(const Hdf5File& file, const std::string& name) {
  const std::size_t begin = name.find_first_not_of('/');
  if (begin == std::string::npos) return {};
  return file.group(name.substr(begin, name.find_last_not_of('/') + 1 - begin));
}

std::unique_ptr<Dataset> make_streamed(DatasetInfo info, ImageReader reader, std::vector<std::int32_t> labels,
                                       std::int64_t memory_bytes) {
  const std::int64_t group_bytes = reader.rows() * info.shape.count();
  const std::int64_t at_once = memory_bytes / group_bytes;
  if (at_once < 2) {
    throw Error(ExitCode::kData, concat(info.name, ": its chunks of ", reader.rows(), " images are ", group_bytes,
                                        " bytes each, expected at least two of them to fit into ", memory_bytes,
                                        " bytes; raise [data] hdf5_memory_mib or write the file with smaller chunks"));
  }
  return std::make_unique<StreamedDataset>(std::move(info), std::move(reader), std::move(labels), at_once);
}

std::unique_ptr<Dataset> make_loaded(DatasetInfo info, ImageReader reader, std::vector<std::int32_t> labels) {
  std::vector<std::uint8_t> images(static_cast<std::size_t>(info.size * info.shape.count()));
  for (std::int64_t group = 0; group < reader.groups(); ++group) {
    reader.read(group, images.data() + group * reader.rows() * info.shape.count());
  }
  return std::make_unique<MemoryDataset>(std::move(info), std::move(images), std::move(labels));
}

}  // namespace

std::unique_ptr<Dataset> open_hdf5(const DataOptions& options, Split split) {
  const bool test = split == Split::kTest;
  const std::string path = (fs::path(options.dir) / (test ? options.hdf5_test : options.hdf5_train)).string();
  if (!path_exists(path)) {
    throw Error(ExitCode::kData, concat(path, ": no such file; set [data] dir and hdf5_", test ? "test" : "train"));
  }
  const Hdf5File file = Hdf5File::open(path, ExitCode::kData);
  const auto below = open_below(file, test ? options.hdf5_test_group : options.hdf5_train_group);
  const Hdf5Group& group = below ? *below : file;
  Hdf5DataSet images = group.data_set(options.hdf5_images);
  const Hdf5DataSet label_set = group.data_set(options.hdf5_labels);
  const Layout layout = find_layout(images);
  std::vector<std::int32_t> labels = read_labels(label_set, images.shape()[0]);
  Classes classes = find_classes(options, file, group, label_set, labels);
  DatasetInfo info{images.where(), images.shape()[0], layout.shape, classes.count, std::move(classes.names)};
  ImageReader reader(std::move(images), layout);
  const std::int64_t memory_bytes = options.hdf5_memory_mib << 20;
  if (info.size > memory_bytes / info.shape.count()) {
    return make_streamed(std::move(info), std::move(reader), std::move(labels), memory_bytes);
  }
  return make_loaded(std::move(info), std::move(reader), std::move(labels));
}

}  // namespace sluice
