#include "apps/plane.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

constexpr std::int64_t kMostPixels = 64;  // of a side

}  // namespace

Plane reduced(const Plane& picture) {
  const std::int64_t step = (std::max(picture.height, picture.width) + kMostPixels - 1) / kMostPixels;
  if (step <= 1) return picture;
  Plane small;
  small.height = (picture.height + step - 1) / step;
  small.width = (picture.width + step - 1) / step;
  small.channels = picture.channels;
  small.values.assign(static_cast<std::size_t>(small.height * small.width * small.channels), 0);
  std::vector<double> counts(small.values.size(), 0);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(picture.values.size()); ++i) {
    const std::int64_t c = i % picture.channels, x = i / picture.channels % picture.width,
                       y = i / picture.channels / picture.width;
    const auto at = static_cast<std::size_t>(((y / step) * small.width + x / step) * small.channels + c);
    small.values[at] += picture.values[static_cast<std::size_t>(i)];
    ++counts[at];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) small.values[i] /= counts[i];
  return small;
}

Plane image_of(const float* image, const Shape& shape, const Normalization& normalization) {
  Plane picture{shape[kH], shape[kW], 3, {}};
  const std::int64_t channels = shape[kC];
  for (std::int64_t pixel = 0; pixel < shape[kH] * shape[kW]; ++pixel) {
    for (std::int64_t c = 0; c < 3; ++c) {
      const std::int64_t from = channels >= 3 ? c : 0;
      const auto at = static_cast<std::size_t>(from);
      const double mean = at < normalization.mean.size() ? normalization.mean[at] : 0,
                   deviation = at < normalization.std.size() ? normalization.std[at] : 1;
      picture.values.push_back(image[pixel * channels + from] * deviation + mean);
    }
  }
  return reduced(picture);
}

std::uint8_t byte_of(double share) {
  return static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0)));
}

}  // namespace sluice
