#include "apps/pack/write_set.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/atomic_file.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/signals.hpp"
#include "core/base/system_error.hpp"
#include "core/checkpoint/hdf5_new_file.hpp"

namespace sluice {

namespace {

using Pictures = std::vector<const SpooledPicture*>;

Pictures pictures_of(const Spool& spool, Split split) {
  Pictures pictures;
  for (const SpooledPicture& picture : spool.pictures())
    if (picture.good() && picture.split == split) pictures.push_back(&picture);
  return pictures;
}

const char* group_name(Split split) {
  return split == Split::kTest ? "test" : "train";
}

/// The columns of a group beside the images.
struct Columns {
  explicit Columns(const Pictures& pictures) {
    offsets.push_back(0);
    for (const SpooledPicture* picture : pictures) {
      labels.push_back(picture->label);
      sizes.push_back(static_cast<std::int32_t>(picture->size.height));
      sizes.push_back(static_cast<std::int32_t>(picture->size.width));
      offsets.push_back(offsets.back() + picture->bytes);
      names.push_back(picture->name);
    }
  }
  std::vector<std::int32_t> labels, sizes;
  std::vector<std::int64_t> offsets;
  std::vector<std::string> names;
};

/// Images as they are stored: rows of bytes, each an image's pixels or one byte.
Shape images_shape(const Pictures& pictures, const Columns& columns, std::int64_t channels) {
  if (channels == 0) return {columns.offsets.back()};
  const PictureSize& size = pictures[0]->size;
  return {static_cast<std::int64_t>(pictures.size()), size.height, size.width, channels};
}

[[noreturn]] void fail_stopped() {
  throw Error(ExitCode::kStopped,
              "stopped while the set was written; all pictures are packed, the same command writes it");
}

std::int64_t row_bytes(const Shape& shape) {
  return shape.count() / shape[0];
}

/// Returns the digest of the images' bytes.
std::string write_images(Hdf5NewBytes& images, const Shape& shape, const Spool& spool, const Pictures& pictures) {
  Digest digest;
  std::string buffer;
  std::size_t next = 0;
  for (std::int64_t first = 0; first < shape[0]; first += images.chunk_rows()) {
    if (stop_requested() != 0) fail_stopped();
    const std::int64_t rows = std::min(images.chunk_rows(), shape[0] - first);
    const auto bytes = static_cast<std::size_t>(rows * row_bytes(shape));
    while (buffer.size() < bytes) spool.read(*pictures[next++], buffer);
    images.append(reinterpret_cast<const std::uint8_t*>(buffer.data()), rows);
    digest.update(buffer.data(), static_cast<std::int64_t>(bytes));
    buffer.erase(0, bytes);
  }
  images.complete();
  return digest.hex();
}

std::string digest_of(const Hdf5DataSet& images) {
  Digest digest;
  std::vector<std::uint8_t> buffer;
  std::vector<std::int64_t> offset(images.shape().rank(), 0), count = images.shape().dims();
  for (std::int64_t& first = offset[0]; first < images.shape()[0]; first += images.info().chunk[0]) {
    if (stop_requested() != 0) fail_stopped();
    count[0] = std::min(images.info().chunk[0], images.shape()[0] - first);
    buffer.resize(static_cast<std::size_t>(count[0] * row_bytes(images.shape())));
    images.read(offset, count, buffer.data());
    digest.update(buffer.data(), static_cast<std::int64_t>(buffer.size()));
  }
  return digest.hex();
}

std::string write_group(Hdf5NewFile& file, const PackedSet& set, Split split) {
  const Pictures pictures = pictures_of(set.spool, split);
  const Columns columns(pictures);
  const auto count = static_cast<std::int64_t>(pictures.size());
  Hdf5Group group = file.create_group(group_name(split));
  const Shape shape = images_shape(pictures, columns, set.channels);
  Hdf5NewBytes images = file.create_bytes(concat(group_name(split), "/images"), shape);
  images.write_attribute("layout", set.channels == 0 ? "encoded" : "NHWC");
  const std::string digest = write_images(images, shape, set.spool, pictures);
  group.write("labels", Shape{count}, columns.labels.data());
  group.write_text("names", columns.names);
  if (set.channels == 0) {
    group.write("offsets", Shape{count + 1}, columns.offsets.data());
    group.write("sizes", Shape{count, 2}, columns.sizes.data());
  }
  return digest;
}

[[noreturn]] void fail_read_back(const std::string& path, const std::string& problem) {
  throw Error(ExitCode::kEnvironment,
              concat(path, ": the set just written does not read back: ", problem, "; check disk and memory"));
}

void check_group(const Hdf5File& file, const PackedSet& set, Split split, const std::string& digest) {
  const Columns columns(pictures_of(set.spool, split));
  const Hdf5Group group = file.group(group_name(split));
  const auto require = [&](bool same, const char* what) {
    if (!same) throw Error(ExitCode::kEnvironment, concat(group.path(), "/", what, ": differs"));
  };
  require(group.data_set("labels").read<std::int32_t>() == columns.labels, "labels");
  require(group.data_set("names").read_text() == columns.names, "names");
  if (set.channels == 0) {
    require(group.data_set("offsets").read<std::int64_t>() == columns.offsets, "offsets");
    require(group.data_set("sizes").read<std::int32_t>() == columns.sizes, "sizes");
  }
  require(digest_of(group.data_set("images")) == digest, "images");
}

/// A file that is removed unless it becomes the output.
class Temporary {
 public:
  explicit Temporary(const std::string& path) : name_(temporary_name(path)) {}
  ~Temporary() { ::unlink(name_.c_str()); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

void write_mark(const std::string& temporary, const std::string& path) {
  Descriptor file(temporary, O_WRONLY | O_NOFOLLOW, path);
  file.write_all(kPackedMark);
  file.close();
}

}  // namespace

void write_set(const PackedSet& set, const std::string& path) {
  const Temporary temporary(path);
  std::vector<std::pair<Split, std::string>> groups;
  {
    Hdf5NewFile file(temporary.name(), path, ExitCode::kEnvironment);
    if (!set.class_names.empty()) file.write_text("class_names", set.class_names);
    for (const Split split : {Split::kTrain, Split::kTest})
      if (!pictures_of(set.spool, split).empty()) groups.emplace_back(split, write_group(file, set, split));
    file.complete();
  }
  write_mark(temporary.name(), path);
  try {
    const Hdf5File file = Hdf5File::open(temporary.name(), ExitCode::kEnvironment);
    for (const auto& [split, digest] : groups) check_group(file, set, split, digest);
  } catch (const Error& error) {
    if (error.code() == ExitCode::kStopped) throw;
    fail_read_back(path, error.what());
  }
  commit_file(temporary.name(), path);
}

}  // namespace sluice
