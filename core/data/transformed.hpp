// Data sets whose images are pictures of any size, made into a network's by lists of transforms.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.hpp"
#include "core/data/dataset.hpp"
#include "core/picture/transform.hpp"

namespace sluice {

/// What loading a picture works in; kept from picture to picture.
struct PictureScratch {
  DecodeScratch decode;
  std::string bytes;  ///< of the file
  Picture picture;
};

/// Labelled pictures. All functions may be called from many threads at a time, each with a scratch of its own.
class PictureStore {
 public:
  virtual ~PictureStore() = default;
  virtual std::int32_t label(std::int64_t index) const = 0;
  virtual std::string name(std::int64_t index) const = 0;  ///< as Dataset::image_name
  /// Loads a picture into scratch.picture; of what `choose` wants the target's size, else all of it. Throws
  /// Error(kData), with the file's name, where it cannot be read.
  virtual void load(std::int64_t index, bool training, const ChooseWindow& choose, PictureScratch& scratch) const = 0;
  virtual void digest(std::int64_t images, Digest& digest) const = 0;
  virtual ReadGroups groups() const { return {}; }
};

/// Channels that pictures are decoded to: 3, or 1 where the options say so. Throws Error(kData) where they want others.
std::int64_t picture_channels(const DataOptions& options);

/// How the pictures of a store become images.
struct PictureTreatment {
  Transforms training, evaluation;
  bool skip_bad_images = false;  ///< one that cannot be read is left out of evaluations, not an error
};
/// As the options say. `stored`: the size of all pictures, where they have one. Throws Error(kData) where images would
/// come out in several sizes; `name` is the set's.
PictureTreatment make_treatment(const DataOptions& options);
PictureSize treated_size(const PictureTreatment& treatment, const std::optional<PictureSize>& stored,
                         const std::string& name);

/// `info` has the shape that the treatment gives. `notes` are the first that take_notes() returns.
std::unique_ptr<Dataset> make_picture_dataset(DatasetInfo info, std::unique_ptr<const PictureStore> store,
                                              PictureTreatment treatment, std::vector<std::string> notes);

/// Digests names and sizes (in bytes) of the first `images` pictures, and the beginning and the end of some of them.
void digest_pictures(std::int64_t images, const std::function<std::string(std::int64_t)>& name,
                     const std::function<std::int64_t(std::int64_t)>& bytes,
                     const std::function<std::string_view(std::int64_t)>& read, Digest& digest);

/// The transforms of the options for a set of any other kind.
std::unique_ptr<Dataset> make_transformed(std::shared_ptr<const Dataset> base, const DataOptions& options);

}  // namespace sluice
