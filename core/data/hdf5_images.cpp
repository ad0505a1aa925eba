// The reader's part of HDF5 data sets: what is in the file, and its pixels.
#include "core/data/hdf5_images.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/data/interleave.hpp"
#include "core/picture/picture.hpp"
#include "core/reader/shared_memory.hpp"

namespace sluice {
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

/// `what`: they are.
void require_uint8(const Hdf5DataSet& images, const char* what) {
  const ElementType type = images.info().type;
  if (type.kind != ElementType::Kind::kUnsigned || type.bytes != 1)
    fail(images, concat("holds ", to_string(type), ", expected uint8 (", what, ")"));
}

Layout find_layout(const Hdf5DataSet& images) {
  require_uint8(images, "pixels of 0 to 255");
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

/// A group below the root; nothing for the root.
std::optional<Hdf5Group> open_below(const Hdf5File& file, const std::string& name) {
  const std::size_t begin = name.find_first_not_of('/');
  if (begin == std::string::npos) return {};
  return file.group(name.substr(begin, name.find_last_not_of('/') + 1 - begin));
}

std::vector<std::string> class_names(const Hdf5File& file, const Hdf5Group& group) {
  if (group.has_data_set("class_names")) return group.data_set("class_names").read_text();
  if (file.has_data_set("class_names")) return file.data_set("class_names").read_text();
  return {};
}

/// Bytes of encoded pictures one after the other, as sluice-pack writes them.
bool holds_encoded(const Hdf5DataSet& images) {
  if (images.shape().rank() != 1 || !images.has_attribute("layout")) return false;
  const std::vector<std::string> layout = images.text_attribute("layout");
  return !layout.empty() && layout[0] == "encoded";
}

std::vector<std::int64_t> read_offsets(const Hdf5DataSet& data_set, std::int64_t bytes) {
  if (data_set.shape().rank() != 1 || data_set.shape()[0] < 2)
    fail(data_set,
         concat("expected where each picture begins, and the end, got the shape ", to_string(data_set.shape())));
  std::vector<std::int64_t> offsets = data_set.read<std::int64_t>();
  if (offsets.front() != 0 || offsets.back() != bytes || !std::is_sorted(offsets.begin(), offsets.end()))
    fail(data_set, concat("expected to ascend from 0 to the ", bytes, " bytes of the pictures"));
  return offsets;
}

/// The size that all pictures have; nothing where they have several.
std::optional<PictureSize> common_size(const Hdf5DataSet& sizes, std::int64_t images) {
  if (sizes.shape() != Shape{images, 2})
    fail(sizes,
         concat("expected height and width of the ", images, " pictures, got the shape ", to_string(sizes.shape())));
  const std::vector<std::int64_t> values = sizes.read<std::int64_t>();
  for (std::size_t i = 2; i < values.size(); ++i)
    if (values[i] != values[i % 2]) return std::nullopt;
  const auto is_side = [](std::int64_t side) { return side >= 1 && side <= kMaxImageSide; };
  if (!is_side(values[0]) || !is_side(values[1])) return std::nullopt;
  return PictureSize{values[0], values[1]};
}

class ImageService : public ReaderService {
 public:
  explicit ImageService(int shared_memory) : shared_memory_(shared_memory) {}
  Answer answer(Channel& request) override {
    switch (request.get<ImageRequest>()) {
      case ImageRequest::kOpen:
        images_ = std::make_unique<Hdf5Images>(request.get<ImagePlace>());
        return [this](Channel& channel) { channel.send(images_->set()); };
      case ImageRequest::kShare: {
        const auto bytes = request.get<std::int64_t>();
        extend_memory_limit(bytes);
        memory_ = SharedMemory::map(shared_memory_, bytes);
        break;
      }
      case ImageRequest::kRead: {
        const auto first = request.get<std::int64_t>(), count = request.get<std::int64_t>();
        images_->read(first, count, memory_.get() + request.get<std::int64_t>());
      }
    }
    return [](Channel&) {};
  }

 private:
  int shared_memory_;
  std::unique_ptr<Hdf5Images> images_;
  std::shared_ptr<std::uint8_t> memory_;
};

}  // namespace

Hdf5Images::Hdf5Images(const ImagePlace& place)
    : file_(Hdf5File::open(
          place.file, ExitCode::kData,
          {true, place.external, "; set [data] hdf5_external to the folder that such files may lie in"})) {
  const auto below = open_below(file_, place.group);
  const Hdf5Group& group = below ? *below : file_;
  const auto find = [&](const std::string& name) {
    const std::size_t begin = std::min(name.find_first_not_of('/'), name.size());
    return (begin == 0 ? group : file_).data_set(name.substr(begin));
  };
  images_.emplace(find(place.images));
  const Hdf5DataSet labels = find(place.labels);
  set_.images_where = images_->where();
  set_.labels_where = labels.where();
  if (holds_encoded(*images_))
    describe_encoded(group);
  else
    describe_pixels();
  set_.labels = read_labels(labels, set_.size);
  set_.class_names = class_names(file_, group);
}

void Hdf5Images::describe_pixels() {
  const Layout layout = find_layout(*images_);
  images_->check_stored();
  planes_ = layout.planes && layout.shape.channels > 1;
  set_.size = images_->shape()[0];
  set_.shape = layout.shape;
  set_.rows = rows(set_.size, layout.shape.count());
}

void Hdf5Images::describe_encoded(const Hdf5Group& group) {
  require_uint8(*images_, "bytes of pictures");
  images_->check_stored();
  const std::int64_t bytes = images_->shape()[0];
  set_.offsets = read_offsets(group.data_set("offsets"), bytes);
  set_.size = static_cast<std::int64_t>(set_.offsets.size()) - 1;
  set_.rows = rows(bytes, 1);
  if (group.has_data_set("names")) {
    const Hdf5DataSet names = group.data_set("names");
    if (names.shape() != Shape{set_.size})
      fail(names, concat("expected a name for each of the ", set_.size, " pictures, got the shape ",
                         to_string(names.shape())));
    set_.names = names.read_text();
  }
  if (!group.has_data_set("sizes")) return;
  const auto size = common_size(group.data_set("sizes"), set_.size);
  if (size) set_.shape = {0, size->height, size->width};
}

/// Images of so many bytes each that are cheap to read together.
std::int64_t Hdf5Images::rows(std::int64_t all, std::int64_t bytes) const {
  const std::int64_t unit = images_->info().chunk.empty() ? 1 : images_->info().chunk[0];
  return std::min(all, unit * std::max<std::int64_t>(1, kSmallestGroupBytes / bytes / unit));
}

void Hdf5Images::read(std::int64_t first, std::int64_t images, std::uint8_t* to) {
  std::vector<std::int64_t> offset(images_->shape().rank(), 0), count = images_->shape().dims();
  offset[0] = first;
  count[0] = images;
  if (!planes_) return images_->read(offset, count, to);
  const std::int64_t bytes = set_.shape.count();
  block_.resize(static_cast<std::size_t>(images * bytes));
  images_->read(offset, count, block_.data());
  for (std::int64_t i = 0; i < images; ++i)
    interleave(block_.data() + i * bytes, set_.shape.channels, set_.shape.height * set_.shape.width, to + i * bytes);
}

std::unique_ptr<ReaderService> make_image_service(int shared_memory) {
  return std::make_unique<ImageService>(shared_memory);
}

}  // namespace sluice
