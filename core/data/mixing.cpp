#include "core/data/mixing.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/base/random.hpp"

namespace sluice {

namespace {

/// The logarithm of a draw from Gamma(alpha, 1), by Marsaglia and Tsang (2000); small ones would not fit into a double.
double log_gamma_draw(Random& random, double alpha) {
  const double d = alpha + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = random.normal(), root = 1 + c * x, u = 1 - random.uniform();
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v)))
      return std::log(d * v) + std::log(1 - random.uniform()) / alpha;
  }
}

double beta_draw(Random& random, double alpha) {
  const double a = log_gamma_draw(random, alpha), b = log_gamma_draw(random, alpha);
  return 1 / (1 + std::exp(b - a));
}

}  // namespace

/// Puts a rectangle of `other` with 1 - share of the area, cut at the image's sides, into the image. Returns the share
/// that is left.
float Mixer::paste(double share, double centre_y, double centre_x, const float* other, float* image) const {
  const double side = std::sqrt(1 - share);
  const auto edges = [side](double centre, std::int64_t size) {
    const double half = side * static_cast<double>(size) / 2, at = centre * static_cast<double>(size);
    return std::pair(std::clamp<std::int64_t>(std::lround(at - half), 0, size),
                     std::clamp<std::int64_t>(std::lround(at + half), 0, size));
  };
  const auto [top, bottom] = edges(centre_y, shape_.height);
  const auto [left, right] = edges(centre_x, shape_.width);
  for (std::int64_t y = top; y < bottom; ++y) {
    const std::int64_t at = (y * shape_.width + left) * shape_.channels;
    std::copy_n(other + at, (right - left) * shape_.channels, image + at);
  }
  const auto area = static_cast<double>((bottom - top) * (right - left));
  return static_cast<float>(1 - area / static_cast<double>(shape_.height * shape_.width));
}

/// Returns the share of the image itself.
float Mixer::mix(std::int64_t epoch, std::int64_t number, const float* other, float* image) const {
  Random random(seed_, Purpose::kMix, static_cast<std::uint64_t>(epoch), static_cast<std::uint32_t>(number));
  const double coin = random.uniform(), y = random.uniform(), x = random.uniform();
  const bool cut = mixing_.cutmix > 0 && (mixing_.mixup <= 0 || coin < 0.5);
  const double drawn = beta_draw(random, cut ? mixing_.cutmix : mixing_.mixup);
  if (cut) return paste(drawn, y, x, other, image);
  const auto share = static_cast<float>(drawn), rest = 1 - share;
  for (std::int64_t i = 0; i < shape_.count(); ++i) image[i] = share * image[i] + rest * other[i];
  return share;
}

void Mixer::apply(std::int64_t epoch, const std::vector<std::int64_t>& numbers, const std::vector<std::int64_t>& others,
                  float* images, std::vector<std::int32_t>& labels, std::vector<MixedLabel>& mixed) const {
  mixed.resize(others.size());
  for (std::size_t i = 0; i < others.size(); ++i) {
    assert(others[i] > static_cast<std::int64_t>(i));  // which is as it was
    float* const image = images + static_cast<std::int64_t>(i) * shape_.count();
    const std::int32_t other = labels[static_cast<std::size_t>(others[i])];
    const float share = mix(epoch, numbers[i], images + others[i] * shape_.count(), image);
    mixed[i] = {labels[i], other, share};
    if (share < 0.5F) labels[i] = other;
  }
}

}  // namespace sluice
