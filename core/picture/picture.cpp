#include "core/picture/picture.hpp"

#include <cstring>

#include "core/base/error.hpp"

namespace sluice {

std::string to_string(const PictureSize& size) {
  return concat(size.height, "x", size.width);
}

void Picture::reshape(const PictureSize& new_size, std::int64_t new_channels) {
  size = new_size;
  channels = new_channels;
  pixels.resize(static_cast<std::size_t>(size.pixels() * channels));
}

void crop(const Picture& from, std::int64_t top, std::int64_t left, const PictureSize& size, Picture& to) {
  to.reshape(size, from.channels);
  for (std::int64_t y = 0; y < size.height; ++y) {
    std::memcpy(to.row(y), from.row(top + y) + left * from.channels, static_cast<std::size_t>(to.row_bytes()));
  }
}

void to_grey(Picture& picture) {
  if (picture.channels == 1) return;
  const std::uint8_t* from = picture.pixels.data();
  std::uint8_t* to = picture.pixels.data();
  for (std::int64_t i = 0; i < picture.size.pixels(); ++i, from += 3) {
    *to++ = static_cast<std::uint8_t>((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16);
  }
  picture.reshape(picture.size, 1);
}

void to_colour(Picture& picture) {
  if (picture.channels == 3) return;
  const std::int64_t count = picture.size.pixels();
  picture.reshape(picture.size, 3);
  const std::uint8_t* from = picture.pixels.data() + count;
  std::uint8_t* to = picture.pixels.data() + 3 * count;
  while (from != picture.pixels.data()) {  // from behind, so that nothing is overwritten before it is read
    const std::uint8_t value = *--from;
    to -= 3;
    to[0] = to[1] = to[2] = value;
  }
}

}  // namespace sluice
