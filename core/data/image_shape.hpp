// The size of an image.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

constexpr std::int64_t kMaxImageSide = 65536;

/// Size of an image. Its bytes lie height x width x channels (HWC) everywhere in Sluice.
struct ImageShape {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  /// Number of values of an image.
  std::int64_t count() const { return channels * height * width; }
  bool operator==(const ImageShape& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
  bool operator!=(const ImageShape& other) const { return !(*this == other); }
};
/// "3x32x32": channels x height x width.
std::string to_string(const ImageShape& shape);
/// Reads "3x32x32"; throws Error(kUsage) where a part is missing, not a number, or not 1 to 65536.
ImageShape parse_image_shape(const std::string& text);

}  // namespace sluice
