// A decoded picture, and parts of one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

constexpr std::int64_t kMostPictureSide = 65536;  ///< of what a network is given

/// Height and width of a picture.
struct PictureSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t pixels() const { return height * width; }
  bool operator==(const PictureSize& other) const { return height == other.height && width == other.width; }
  bool operator!=(const PictureSize& other) const { return !(*this == other); }
};
/// "375x500": height x width.
std::string to_string(const PictureSize& size);

/// Bytes of height x width x channels.
struct Picture {
  PictureSize size;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> pixels;

  std::int64_t row_bytes() const { return size.width * channels; }
  const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * row_bytes(); }
  std::uint8_t* row(std::int64_t y) { return pixels.data() + y * row_bytes(); }
  /// Takes this size; what the pixels hold is then undefined.
  void reshape(const PictureSize& new_size, std::int64_t new_channels);
};

/// A rectangle in the coordinates of a picture, whose pixel (y, x) covers y to y + 1 and x to x + 1.
struct PictureBox {
  double top = 0, left = 0, bottom = 0, right = 0;
};

/// The part of a picture that is wanted, in whole pixels, and the size that it is to have.
struct PictureWindow {
  std::int64_t top = 0, left = 0;
  PictureSize size;
  PictureSize target;
};

/// Copies a part of `from` to `to`; it must lie inside.
void crop(const Picture& from, std::int64_t top, std::int64_t left, const PictureSize& size, Picture& to);

/// One channel of colours: the luma of ITU-R 601 in 16 fractional bits, rounded, as Pillow's convert("L").
void to_grey(Picture& picture);
/// The one channel three times.
void to_colour(Picture& picture);

}  // namespace sluice
