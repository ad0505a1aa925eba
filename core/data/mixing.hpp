// Images of a training batch that are mixed with each other.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/image_shape.hpp"

namespace sluice {

/// Of each the alpha of Beta(alpha, alpha), which shares are drawn from; 0: off. Where both are on, each image has one
/// of them.
struct Mixing {
  double mixup = 0;   ///< sums of two images (Zhang et al. 2018)
  double cutmix = 0;  ///< a rectangle of one image in another (Yun et al. 2019)
  bool enabled() const { return mixup > 0 || cutmix > 0; }
};

/// The classes that an image shows.
struct MixedLabel {
  std::int32_t own = 0, other = 0;
  float share = 1;  ///< of its own class
};

class Mixer {
 public:
  Mixer(const ImageShape& shape, const Mixing& mixing, std::uint64_t seed)
      : shape_(shape), mixing_(mixing), seed_(seed) {}

  /// Mixes image i with image others[i], which stands behind it, for as many as `others` has; images behind those are
  /// only mixed in. What is drawn depends on seed, epoch and the image's number in the set. images: as many as numbers,
  /// height x width x channels each. `labels` become the classes of the larger shares.
  void apply(std::int64_t epoch, const std::vector<std::int64_t>& numbers, const std::vector<std::int64_t>& others,
             float* images, std::vector<std::int32_t>& labels, std::vector<MixedLabel>& mixed) const;

 private:
  float mix(std::int64_t epoch, std::int64_t number, const float* other, float* image) const;
  float paste(double share, double centre_y, double centre_x, const float* other, float* image) const;

  ImageShape shape_;
  Mixing mixing_;
  std::uint64_t seed_;
};

}  // namespace sluice
