// Small pictures of images and of what is decided about their pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/shape.hpp"
#include "core/data/normalization.hpp"

namespace sluice {

/// One channel of numbers from 0 to 1, or three.
struct Plane {
  std::int64_t height = 0, width = 0, channels = 1;
  std::vector<double> values;  ///< height x width x channels
};

/// Averaged over squares, so that no side is longer than 64.
Plane reduced(const Plane& picture);

/// Red, green and blue of a normalised image (1 x C x H x W as a shape, H x W x C in memory), reduced.
Plane image_of(const float* image, const Shape& shape, const Normalization& normalization);

/// A number from 0 to 1 as a byte.
std::uint8_t byte_of(double share);

}  // namespace sluice
