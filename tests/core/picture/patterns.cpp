#include "tests/core/picture/patterns.hpp"

namespace sluice {

namespace {

std::uint64_t mixed(std::int64_t number) {
  std::uint64_t value = (static_cast<std::uint64_t>(number) + 1) * 0x9E3779B97F4A7C15u;
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  return value >> 56;
}

}  // namespace

Picture noise(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Picture picture;
  picture.reshape({height, width}, channels);
  for (std::int64_t i = 0; i < height * width * channels; ++i) {
    const std::int64_t y = i / (width * channels), x = i / channels % width, c = i % channels;
    picture.pixels[static_cast<std::size_t>(i)] =
        static_cast<std::uint8_t>((3 * mixed((y / 5 * 64 + x / 7) * 4 + c) + mixed(i)) / 4);
  }
  return picture;
}

Picture gradient(std::int64_t height, std::int64_t width) {
  Picture picture;
  picture.reshape({height, width}, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      std::uint8_t* const pixel = picture.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(255 * x / width);
      pixel[1] = static_cast<std::uint8_t>(255 * y / height);
      pixel[2] = 60;
    }
  }
  return picture;
}

}  // namespace sluice
