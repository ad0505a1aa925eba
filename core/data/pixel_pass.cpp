#include "core/data/pixel_pass.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {

PixelPass::PixelPass(const ImageShape& shape, const Normalization& normalization, const Augmentation& augmentation)
    : shape_(shape), augmentation_(augmentation) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  if (normalization.mean.size() != channels || normalization.std.size() != channels) {
    throw Error(ExitCode::kData,
                concat("normalisation: expected a mean and a standard deviation for each of the ", channels,
                       " channels of the images, got ", normalization.mean.size(), " and ", normalization.std.size()));
  }
  tables_.resize(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t value = 0; value < 256; ++value) {
      const double scaled = static_cast<double>(value) / 255;
      tables_[c][value] = static_cast<float>((scaled - normalization.mean[c]) / normalization.std[c]);
    }
  }
}

PixelPass::Choice PixelPass::choose(Random& random) const {
  const std::int64_t padding = augmentation_.crop_padding;
  const auto positions = static_cast<std::uint64_t>(2 * padding + 1);
  Choice choice;
  choice.dy = static_cast<std::int64_t>(random.below(positions)) - padding;
  choice.dx = static_cast<std::int64_t>(random.below(positions)) - padding;
  choice.flip = (random.bits() >> 31) != 0 && augmentation_.flip;
  return choice;
}

// kChannels 0: as many as the image has, known only at run time.
template <std::int64_t kChannels>
void PixelPass::convert_row(const std::uint8_t* src, std::int64_t dx, bool flip, float* dst) const {
  const std::int64_t channels = kChannels > 0 ? kChannels : shape_.channels;
  const std::int64_t width = shape_.width;
  const std::int64_t step = flip ? -channels : channels;
  if (flip) dst += (width - 1) * channels;
  // Window columns [begin, end) lie in the image, column x at the image's x + dx.
  const std::int64_t begin = src == nullptr ? width : std::clamp<std::int64_t>(-dx, 0, width);
  const std::int64_t end = src == nullptr ? width : std::clamp<std::int64_t>(width - dx, begin, width);
  const auto fill = [&](std::int64_t count) {
    for (std::int64_t x = 0; x < count; ++x, dst += step) {
      for (std::int64_t c = 0; c < channels; ++c) dst[c] = tables_[static_cast<std::size_t>(c)][0];
    }
  };
  fill(begin);
  if (begin < end) src += (begin + dx) * channels;
  for (std::int64_t x = begin; x < end; ++x, dst += step, src += channels) {
    for (std::int64_t c = 0; c < channels; ++c) dst[c] = tables_[static_cast<std::size_t>(c)][src[c]];
  }
  fill(width - end);
}

template <std::int64_t kChannels>
void PixelPass::apply_channels(const std::uint8_t* src, const Choice& choice, float* dst) const {
  const std::int64_t row = shape_.width * shape_.channels;
  for (std::int64_t y = 0; y < shape_.height; ++y) {
    const std::int64_t from = y + choice.dy;
    const bool inside = from >= 0 && from < shape_.height;
    convert_row<kChannels>(inside ? src + from * row : nullptr, choice.dx, choice.flip, dst + y * row);
  }
}

void PixelPass::apply(const std::uint8_t* src, const Choice& choice, float* dst) const {
  switch (shape_.channels) {
    case 1:
      return apply_channels<1>(src, choice, dst);
    case 3:
      return apply_channels<3>(src, choice, dst);
    default:
      return apply_channels<0>(src, choice, dst);
  }
}

}  // namespace sluice
