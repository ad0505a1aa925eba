// Images and labels of an HDF5 file, as its reader sees them. Nothing else opens such a file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/hdf5.hpp"
#include "core/data/options.hpp"
#include "core/reader/service.hpp"

namespace sluice {

/// Where they lie.
struct ImagePlace {
  std::string file, group;     ///< the group with or without slashes at its ends
  std::string images, labels;  ///< names in the group; from the file's root where they begin with a slash
  std::string external;        ///< folder of other files that may be read ([data] hdf5_external)
};

/// What is known before any image is read.
struct ImageSet {
  std::string images_where, labels_where;  ///< "train.h5: /images", the beginning of messages
  std::int64_t size = 0;
  ImageShape shape;       ///< of encoded pictures height and width, where all have the same
  std::int64_t rows = 0;  ///< images, or bytes of encoded pictures, that are cheap to read together: a chunk or several
  std::vector<std::int32_t> labels;
  std::vector<std::string> class_names;  ///< empty where the file has none
  std::vector<std::int64_t> offsets;     ///< of encoded pictures: where each begins, and the end; else empty
  std::vector<std::string> names;        ///< of encoded pictures; empty where the file has none
  bool encoded() const { return !offsets.empty(); }
};

class Hdf5Images {
 public:
  /// Checks everything but the pixels. Throws Error(kData).
  explicit Hdf5Images(const ImagePlace& place);

  const ImageSet& set() const { return set_; }
  /// Images [first, first + count) as count x height x width x channels, or such bytes of encoded pictures. Throws
  /// Error(kData) where a part of the file cannot be read, or was changed since it was opened.
  void read(std::int64_t first, std::int64_t count, std::uint8_t* to);

 private:
  void describe_pixels();
  void describe_encoded(const Hdf5Group& group);
  std::int64_t rows(std::int64_t all, std::int64_t bytes) const;

  Hdf5File file_;
  std::optional<Hdf5DataSet> images_;
  bool planes_ = false;  ///< N x C x H x W
  ImageSet set_;
  std::vector<std::uint8_t> block_;
};

/// What the reader is asked: kOpen is followed by the place, kShare by bytes of memory, kRead by first image, count and
/// where in the memory they go.
enum class ImageRequest { kOpen, kShare, kRead };

template <class Fields, class Place>
auto describe_fields(Fields& fields, Place& place) -> decltype(fields.add(place.external)) {
  for (auto* text : {&place.file, &place.group, &place.images, &place.labels, &place.external}) fields.add(*text);
}

template <class Fields, class Set>
auto describe_fields(Fields& fields, Set& set) -> decltype(fields.add(set.labels_where)) {
  fields.add(set.images_where);
  fields.add(set.labels_where);
  fields.add(set.size);
  for (auto* size : {&set.shape.channels, &set.shape.height, &set.shape.width, &set.rows}) fields.add(*size);
  fields.add(set.labels);
  fields.add(set.class_names);
  fields.add(set.offsets);
  fields.add(set.names);
}

/// The memory is the pixels'.
std::unique_ptr<ReaderService> make_image_service(int shared_memory);

}  // namespace sluice
