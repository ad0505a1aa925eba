#include "core/data/picture_input.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/base/error.hpp"
#include "core/data/picture_list.hpp"

namespace sluice {
namespace {

/// Zeros around it; an odd row or column goes to the bottom or right, as where data sets are padded.
void pad(Picture& picture, const PictureSize& to, Picture& other) {
  other.reshape(to, picture.channels);
  std::fill(other.pixels.begin(), other.pixels.end(), std::uint8_t{0});
  const std::int64_t top = (to.height - picture.size.height) / 2, left = (to.width - picture.size.width) / 2;
  for (std::int64_t y = 0; y < picture.size.height; ++y)
    std::copy_n(picture.row(y), picture.row_bytes(), other.row(top + y) + left * picture.channels);
  std::swap(picture, other);
}

/// The largest part in the middle that has the shape of `to`.
PictureWindow middle(const PictureSize& of, const PictureSize& to) {
  const double scale = std::min(static_cast<double>(of.height) / static_cast<double>(to.height),
                                static_cast<double>(of.width) / static_cast<double>(to.width));
  const auto part = [scale](std::int64_t side, std::int64_t most) {
    return std::clamp<std::int64_t>(std::llround(scale * static_cast<double>(side)), 1, most);
  };
  const PictureSize size = {part(to.height, of.height), part(to.width, of.width)};
  return {(of.height - size.height) / 2, (of.width - size.width) / 2, size, to};
}

/// IDX files are grey, and repeated where the network wants colours.
std::int64_t decoded_channels(const DataOptions& options, const ImageShape& image) {
  return options.kind == DataKind::kIdx ? 1 : image.channels;
}

}  // namespace

PictureInput::PictureInput(const DataOptions& options, const ImageShape& image)
    : image_(image),
      transforms_(options.eval_transforms),
      channels_(decoded_channels(options, image)),
      max_pixels_(options.max_pixels),
      pads_(options.pad_to > 0) {}

bool PictureInput::decode(std::string_view bytes, std::uint8_t* image) const {
  static const std::vector<std::uint8_t> no_fill;
  require_picture_libraries("a picture");
  if (image_.channels != 1 && image_.channels != 3)
    throw Error(ExitCode::kData, concat("the network takes images of ", image_.channels,
                                        " channels, and pictures have 1 (grey) or 3 (colours)"));
  const TransformDraw draw;  // evaluation draws nothing
  DecodeScratch scratch;
  Picture picture;
  transforms_.make(picture, draw, no_fill, scratch, [&](const ChooseWindow& choose) {
    decode_picture(bytes, {channels_, max_pixels_, false}, choose, scratch, picture);
  });
  const PictureSize wanted = {image_.height, image_.width};
  const bool small = picture.size.height <= wanted.height && picture.size.width <= wanted.width;
  const bool resized = picture.size != wanted && !(pads_ && small);
  if (resized) {
    apply_window(picture, middle(picture.size, wanted), scratch.resize, scratch.other);
    std::swap(picture, scratch.other);
  } else if (picture.size != wanted) {
    pad(picture, wanted, scratch.other);
  }
  if (picture.channels != image_.channels) to_colour(picture);
  std::memcpy(image, picture.pixels.data(), picture.pixels.size());
  return resized;
}

bool PictureInput::read(const std::string& path, std::uint8_t* image) const {
  std::string bytes;
  read_picture_file(path, max_pixels_, bytes);
  return decode(bytes, image);
}

}  // namespace sluice
