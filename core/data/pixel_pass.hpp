// The one pass over an image's pixels: crop, mirror and normalise, from bytes to floats.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/random.hpp"
#include "core/data/normalization.hpp"
#include "core/data/options.hpp"

namespace sluice {

/// What is done to training images at random.
struct Augmentation {
  std::int64_t crop_padding =
      0;              ///< pixels of zeros around the image, from which a window of the image's size is cut; 0: no crop
  bool flip = false;  ///< mirrors half of the images left to right
};

class PixelPass {
 public:
  /// Throws Error(kData) unless the normalisation has one value for each channel.
  PixelPass(const ImageShape& shape, const Normalization& normalization, const Augmentation& augmentation);

  /// The window's corner relative to the image's, each -crop_padding to crop_padding; then the mirror.
  struct Choice {
    std::int64_t dy = 0;
    std::int64_t dx = 0;
    bool flip = false;
  };
  /// Draws the same numbers whatever is switched on: turning flips off leaves the crops as they were.
  Choice choose(Random& random) const;

  /// src: height x width x channels bytes; dst: as many floats. Pixels outside the image are those of byte 0.
  void apply(const std::uint8_t* src, const Choice& choice, float* dst) const;

 private:
  using Table = std::array<float, 256>;

  template <std::int64_t kChannels>
  void apply_channels(const std::uint8_t* src, const Choice& choice, float* dst) const;
  template <std::int64_t kChannels>
  void convert_row(const std::uint8_t* src, std::int64_t dx, bool flip, float* dst) const;

  ImageShape shape_;
  Augmentation augmentation_;
  std::vector<Table> tables_;  // one for each channel: byte -> normalised value
};

}  // namespace sluice
