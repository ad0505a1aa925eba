// What a checkpoint remembers of a data set: enough to notice that another one, or a changed one, is in its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/dataset.hpp"

namespace sluice {

/// Of the images as a network is given them, before augmentation and normalisation. docs/checkpoint-format.md says
/// which of them the digests cover.
struct SetDescription {
  std::int64_t images = 0;
  ImageShape shape;
  std::string images_digest, labels_digest;

  bool operator==(const SetDescription& other) const;
  bool operator!=(const SetDescription& other) const { return !(*this == other); }
};

/// Adds the first `images` of a set to a digest: at most 16 MiB of pixels (or 16 images); of pictures in files what
/// they were decoded from.
void digest_images(const Dataset& dataset, std::int64_t images, Digest& digest);

/// Describes the first `images` of a set: reads at most 16 MiB of pixels (or 16 images), and as many of labels.
SetDescription describe(const Dataset& dataset, std::int64_t images);
inline SetDescription describe(const Dataset& dataset) {
  return describe(dataset, dataset.size());
}

/// How a set differs from the one that was described before.
struct SetChange {
  enum class Kind { kAppended, kFewer, kImages, kLabels, kShape };
  Kind kind;
  std::string text;  ///< "has 192 images, 96 more than before", for messages that begin with the set's name
};
/// Nothing where it is the same set, as far as its description tells.
std::optional<SetChange> compare(const SetDescription& before, const Dataset& now);

/// What the sets of a run were.
struct DataDescription {
  std::optional<SetDescription> training;  ///< with the images that are held out of it
  HeldOut held_out;
  std::optional<SetDescription> test;  ///< where it was evaluated in training
};

/// The first of `names` that stands at another place in `known`: labels then mean other classes.
std::optional<std::size_t> displaced_name(const std::vector<std::string>& names, const std::vector<std::string>& known);

/// Where a set's labels seem to be counted from 1: a text that says so, else an empty one.
std::string doubtful_labels(const Dataset& dataset);

}  // namespace sluice
