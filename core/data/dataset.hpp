// A set of labelled images, and the functions that open one from the [data] section.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/options.hpp"

namespace sluice {

class Digest;

/// Throws where long work is to end: on a stop signal, or when the time is used up.
using StopCheck = std::function<void()>;

/// How often each byte value occurs in one channel.
using PixelCounts = std::array<std::int64_t, 256>;

/// What is known about a set before any image is read.
struct DatasetInfo {
  std::string name;  ///< file or folder, for messages
  std::int64_t size = 0;
  ImageShape shape;
  std::int64_t num_classes = 0;
  std::vector<std::string> class_names;  ///< empty, or one for each class
};

/// Images that are cheap to read together: image i lies in the last group whose start is not above i. No starts: any
/// order is as fast.
struct ReadGroups {
  std::vector<std::int64_t> starts;
  std::int64_t at_once = 0;  ///< groups that can be kept in memory together
};

/// What decides how an image is transformed for training, beside its place in the set.
struct TrainingDraw {
  std::uint64_t seed = 1, epoch = 0;
  const std::vector<std::uint8_t>& fill;  ///< one byte for each channel: what takes the place of erased pixels
};

/// Immutable once open; all functions may be called from many threads at a time.
class Dataset {
 public:
  explicit Dataset(DatasetInfo info) : info_(std::move(info)) {}
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const std::string& name() const { return info_.name; }
  std::int64_t size() const { return info_.size; }
  const ImageShape& shape() const { return info_.shape; }
  /// Labels lie in [0, num_classes()).
  std::int64_t num_classes() const { return info_.num_classes; }
  /// One name for each class, or none at all.
  const std::vector<std::string>& class_names() const { return info_.class_names; }
  /// The class's name, or its number where it has none.
  std::string class_name(std::int64_t label) const;
  const DatasetInfo& info() const { return info_; }

  /// Copies images and labels of `count` indices, each in [0, size()); they may repeat and stand in any order.
  /// images: count x height x width x channels bytes; labels: count. Throws Error(kData) where a file cannot be read.
  virtual void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
                    std::int32_t* labels) const = 0;
  /// The labels alone of `count` indices, likewise.
  virtual void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const;

  /// Whether making an image takes long, so that several threads should share a batch, image by image.
  virtual bool decodes() const { return false; }
  /// One image as training is to see it, and its label; by default that of read(). A picture that cannot be read is
  /// replaced by another.
  virtual std::int32_t read_for_training(std::int64_t index, const TrainingDraw& draw, std::uint8_t* image) const;
  /// One image as read() gives it, and its label; nothing where it cannot be read and an evaluation is to leave it out.
  virtual std::optional<std::int32_t> read_for_evaluation(std::int64_t index, std::uint8_t* image) const;

  /// Adds what the first `images` images were made from to a digest; false where that is the pixels themselves.
  virtual bool digest_sources(std::int64_t images, Digest& digest) const;
  /// The file of an image, below the set's folder; empty where images have none of their own.
  virtual std::string image_name(std::int64_t) const { return {}; }
  /// Warnings that came up since the last call: pictures that were left out or replaced.
  virtual std::vector<std::string> take_notes() const { return {}; }

  /// Counts of the byte values of all images, one for each channel; of the stored pixels, without those that padding
  /// added. Of a set that decodes, over evenly spread 2048 images at most, without those that evaluations leave out.
  /// `check_stop` is called between blocks of images.
  virtual std::vector<PixelCounts> count_pixels(const StopCheck& check_stop = {}) const;

  virtual ReadGroups groups() const { return {}; }

 private:
  DatasetInfo info_;
};

enum class Split { kTrain, kValidation, kTest };
/// "training", "validation", "test".
std::string to_string(Split split);

/// Which images of a training set are held out. They are drawn from its first `drawn_from` images (0: from all), so
/// that they stay the same when images are appended.
struct HeldOut {
  std::int64_t images = 0, seed = 0, drawn_from = 0;
  bool operator==(const HeldOut& other) const {
    return images == other.images && seed == other.seed && drawn_from == other.drawn_from;
  }
  bool operator!=(const HeldOut& other) const { return !(*this == other); }
};

/// The training set and what `validation` holds out of it; they share the images in memory.
struct TrainingSets {
  std::shared_ptr<const Dataset> whole;  ///< both together
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> validation;  ///< null where `validation` is 0
  HeldOut held_out;                           ///< drawn_from in numbers
};

/// Whether a set with these options may consist of the file at `path`, among others; opens nothing.
bool may_be_read(const DataOptions& options, const std::string& path);

/// Both open what the options describe, with padding, channels and class names applied. Throw Error(kData) where files
/// are missing, damaged or do not fit the options, each message with the file and, where it applies, the byte offset or
/// the position in the set. `drawn_from` counts where the options leave it open.
TrainingSets open_training(const DataOptions& options, std::int64_t drawn_from = 0);
/// Split::kTrain is without the images held out; Split::kValidation is an error where `validation` is 0.
std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, Split split, std::int64_t drawn_from = 0);

}  // namespace sluice
