// RandAugment and TrivialAugment: random operations of a fixed list, at a given or a random strength.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/picture/color.hpp"
#include "core/picture/transform_kinds.hpp"

namespace sluice {

namespace {

constexpr int kStrengths = 31;

/// The pixel that pixel (y, x) of the result is taken from is that at (c + a x + b y, f + d x + e y), by centres.
struct Affine {
  double a, b, c, d, e, f;
};

/// The nearest pixel; zeros where that lies outside.
void move_pixels(Picture& picture, const Affine& from, Picture& other) {
  other.reshape(picture.size, picture.channels);
  std::uint8_t* to = other.pixels.data();
  for (std::int64_t y = 0; y < picture.size.height; ++y) {
    for (std::int64_t x = 0; x < picture.size.width; ++x, to += picture.channels) {
      const double column = static_cast<double>(x) + 0.5, row = static_cast<double>(y) + 0.5;
      const auto u = static_cast<std::int64_t>(std::floor(from.a * column + from.b * row + from.c));
      const auto v = static_cast<std::int64_t>(std::floor(from.d * column + from.e * row + from.f));
      const bool inside = u >= 0 && u < picture.size.width && v >= 0 && v < picture.size.height;
      if (inside) {
        std::copy_n(picture.row(v) + u * picture.channels, picture.channels, to);
      } else {
        std::fill_n(to, picture.channels, std::uint8_t{0});
      }
    }
  }
  std::swap(picture, other);
}

/// Counter-clockwise about the middle.
Affine rotation(const PictureSize& size, double degrees) {
  constexpr double kDegree = 3.14159265358979323846 / 180;
  const double cosine = std::cos(-degrees * kDegree), sine = std::sin(-degrees * kDegree);
  const double x = static_cast<double>(size.width) / 2, y = static_cast<double>(size.height) / 2;
  return {cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y};
}

/// The strongest form of each operation.
struct Reach {
  double shear;
  double translate_x, translate_y;  // pixels
  double degrees;
  double factor;  // away from 1
  double bits;    // taken away
};

enum Operation {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
  kOperations
};

/// share: the strength, 0 to 1; sign: -1 or 1, for what has two directions.
void operate(Picture& picture, int operation, const Reach& reach, double share, double sign, Picture& other) {
  const double signed_share = sign * share;
  const double shear = signed_share * reach.shear, factor = 1 + signed_share * reach.factor;
  switch (operation) {
    case kShearX:
      return move_pixels(picture, {1, shear, 0, 0, 1, 0}, other);
    case kShearY:
      return move_pixels(picture, {1, 0, 0, shear, 1, 0}, other);
    case kTranslateX:
      return move_pixels(picture, {1, 0, -std::trunc(signed_share * reach.translate_x), 0, 1, 0}, other);
    case kTranslateY:
      return move_pixels(picture, {1, 0, 0, 0, 1, -std::trunc(signed_share * reach.translate_y)}, other);
    case kRotate:
      return move_pixels(picture, rotation(picture.size, signed_share * reach.degrees), other);
    case kBrightness:
      return adjust_brightness(picture, factor);
    case kColor:
      return adjust_saturation(picture, factor);
    case kContrast:
      return adjust_contrast(picture, factor);
    case kSharpness:
      return adjust_sharpness(picture, factor, other);
    case kPosterize:
      return posterize(picture, 8 - static_cast<int>(std::nearbyint(share * reach.bits)));
    case kSolarize:
      return solarize(picture, 255 * (1 - share));
    case kAutoContrast:
      return stretch_contrast(picture);
    case kEqualize:
      return equalize(picture);
    default:
      return;
  }
}

double draw_sign(Random& random) {
  return (random.bits() >> 31) != 0 ? -1 : 1;
}

class RandAugment : public Transform {
 public:
  RandAugment(std::int64_t operations, std::int64_t magnitude)
      : operations_(operations), share_(static_cast<double>(magnitude) / (kStrengths - 1)) {}
  void apply(Picture& picture, TransformWork& work) const override {
    constexpr double kTranslate = 150.0 / 331.0;  // of the side
    const Reach reach = {0.3,
                         kTranslate * static_cast<double>(picture.size.width),
                         kTranslate * static_cast<double>(picture.size.height),
                         30,
                         0.9,
                         4};
    for (std::int64_t i = 0; i < operations_; ++i) {
      const auto operation = static_cast<int>(work.random.below(kOperations));
      operate(picture, operation, reach, share_, draw_sign(work.random), work.scratch.other);
    }
  }

 private:
  std::int64_t operations_;
  double share_;
};

class TrivialAugment : public Transform {
 public:
  void apply(Picture& picture, TransformWork& work) const override {
    const Reach reach = {0.99, 32, 32, 135, 0.99, 6};
    const auto operation = static_cast<int>(work.random.below(kOperations));
    const double share = static_cast<double>(work.random.below(kStrengths)) / (kStrengths - 1);
    operate(picture, operation, reach, share, draw_sign(work.random), work.scratch.other);
  }
};

}  // namespace

TransformPtr make_rand_augment(TransformArguments& arguments) {
  const std::int64_t operations = arguments.integer("operations", 1, 100, 2);
  return std::make_unique<RandAugment>(operations, arguments.integer("magnitude", 0, kStrengths - 1, 9));
}

TransformPtr make_trivial_augment(TransformArguments&) {
  return std::make_unique<TrivialAugment>();
}

}  // namespace sluice
