// Transforms that choose, move or hide parts of a picture.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/picture/transform_kinds.hpp"

namespace sluice {

namespace {

/// [0, bound).
std::int64_t below(Random& random, std::int64_t bound) {
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound)));
}
double between(Random& random, double low, double high) {
  return low + random.uniform() * (high - low);
}
std::int64_t rounded(double value) {
  return static_cast<std::int64_t>(std::nearbyint(value));  // halves to even
}

/// The shorter side to a length, or both to their own.
class Resize : public Transform {
 public:
  Resize(std::optional<std::int64_t> shorter, PictureSize both) : shorter_(shorter), both_(both) {}
  std::optional<PictureSize> size(const std::optional<PictureSize>& of) const override {
    if (!shorter_) return both_;
    if (!of) return std::nullopt;
    const std::int64_t least = std::min(of->height, of->width), most = std::max(of->height, of->width);
    const std::int64_t longer = std::min(kMostPictureSide, *shorter_ * most / least);
    return of->height <= of->width ? PictureSize{*shorter_, longer} : PictureSize{longer, *shorter_};
  }
  std::optional<PictureWindow> window(const PictureSize& of, Random&) const override {
    return PictureWindow{0, 0, of, *size(of)};
  }
  bool random() const override { return false; }

 private:
  std::optional<std::int64_t> shorter_;
  PictureSize both_;
};

/// Copies `picture` behind `top` rows and `left` columns of zeros (or without as many of its own, where negative) into
/// one of another size.
void place(Picture& picture, std::int64_t top, std::int64_t left, const PictureSize& size, Picture& other) {
  other.reshape(size, picture.channels);
  const std::int64_t channels = picture.channels;
  const std::int64_t begin = std::clamp<std::int64_t>(left, 0, size.width);
  const std::int64_t end = std::clamp<std::int64_t>(left + picture.size.width, begin, size.width);
  std::fill(other.pixels.begin(), other.pixels.end(), std::uint8_t{0});
  for (std::int64_t y = 0; y < size.height && begin < end; ++y) {
    const std::int64_t from = y - top;
    if (from < 0 || from >= picture.size.height) continue;
    std::memcpy(other.row(y) + begin * channels, picture.row(from) + (begin - left) * channels,
                static_cast<std::size_t>((end - begin) * channels));
  }
  std::swap(picture, other);
}

class CenterCrop : public Transform {
 public:
  explicit CenterCrop(PictureSize size) : size_(size) {}
  std::optional<PictureSize> size(const std::optional<PictureSize>&) const override { return size_; }
  void apply(Picture& picture, TransformWork& work) const override {
    place(picture, offset(picture.size.height, size_.height), offset(picture.size.width, size_.width), size_,
          work.scratch.other);
  }
  bool random() const override { return false; }

 private:
  static std::int64_t offset(std::int64_t from, std::int64_t to) {
    if (from < to) return (to - from) / 2;
    return -rounded(static_cast<double>(from - to) / 2);
  }
  PictureSize size_;
};

class PadCrop : public Transform {
 public:
  explicit PadCrop(std::int64_t padding) : padding_(padding) {}
  void apply(Picture& picture, TransformWork& work) const override {
    const std::int64_t dy = below(work.random, 2 * padding_ + 1) - padding_;
    const std::int64_t dx = below(work.random, 2 * padding_ + 1) - padding_;
    place(picture, -dy, -dx, picture.size, work.scratch.other);
  }

 private:
  std::int64_t padding_;
};

class RandomResizedCrop : public Transform {
 public:
  RandomResizedCrop(PictureSize size, double least, double most) : size_(size), least_(least), most_(most) {}
  std::optional<PictureSize> size(const std::optional<PictureSize>&) const override { return size_; }
  std::optional<PictureWindow> window(const PictureSize& of, Random& random) const override {
    constexpr int kAttempts = 10;
    const double log_ratio = std::log(4.0 / 3.0);
    for (int i = 0; i < kAttempts; ++i) {
      const double area = static_cast<double>(of.pixels()) * between(random, least_, most_);
      const double ratio = std::exp(between(random, -log_ratio, log_ratio));
      const PictureSize part = {rounded(std::sqrt(area / ratio)), rounded(std::sqrt(area * ratio))};
      if (part.height < 1 || part.width < 1 || part.height > of.height || part.width > of.width) continue;
      const std::int64_t top = below(random, of.height - part.height + 1);
      return PictureWindow{top, below(random, of.width - part.width + 1), part, size_};
    }
    return middle(of);
  }

 private:
  /// As much of the middle as keeps the sides within 3:4 and 4:3.
  PictureWindow middle(const PictureSize& of) const {
    const double ratio = static_cast<double>(of.width) / static_cast<double>(of.height);
    PictureSize part = of;
    if (ratio < 3.0 / 4.0)
      part.height = std::max<std::int64_t>(1, rounded(static_cast<double>(of.width) / (3.0 / 4.0)));
    if (ratio > 4.0 / 3.0)
      part.width = std::max<std::int64_t>(1, rounded(static_cast<double>(of.height) * (4.0 / 3.0)));
    return PictureWindow{(of.height - part.height) / 2, (of.width - part.width) / 2, part, size_};
  }

  PictureSize size_;
  double least_, most_;
};

class Flip : public Transform {
 public:
  explicit Flip(double share) : share_(share) {}
  void apply(Picture& picture, TransformWork& work) const override {
    if (work.random.uniform() >= share_) return;
    const std::int64_t channels = picture.channels;
    for (std::int64_t y = 0; y < picture.size.height; ++y) {
      std::uint8_t *left = picture.row(y), *right = left + (picture.size.width - 1) * channels;
      for (; left < right; left += channels, right -= channels) std::swap_ranges(left, left + channels, right);
    }
  }

 private:
  double share_;
};

class RandomErasing : public Transform {
 public:
  RandomErasing(double share, double least, double most) : share_(share), least_(least), most_(most) {}
  void apply(Picture& picture, TransformWork& work) const override {
    constexpr int kAttempts = 10;
    constexpr double kNarrow = 0.3, kWide = 3.3;  // height to width
    if (work.random.uniform() >= share_) return;
    const PictureSize of = picture.size;
    for (int i = 0; i < kAttempts; ++i) {
      const double area = static_cast<double>(of.pixels()) * between(work.random, least_, most_);
      const double ratio = std::exp(between(work.random, std::log(kNarrow), std::log(kWide)));
      const PictureSize part = {rounded(std::sqrt(area * ratio)), rounded(std::sqrt(area / ratio))};
      if (part.height >= of.height || part.width >= of.width) continue;
      const std::int64_t top = below(work.random, of.height - part.height + 1);
      return erase(picture, top, below(work.random, of.width - part.width + 1), part, work.fill);
    }
  }

 private:
  static void erase(Picture& picture, std::int64_t top, std::int64_t left, const PictureSize& part,
                    const std::vector<std::uint8_t>& fill) {
    for (std::int64_t y = top; y < top + part.height; ++y) {
      std::uint8_t* to = picture.row(y) + left * picture.channels;
      for (std::int64_t x = 0; x < part.width; ++x, to += picture.channels) std::copy(fill.begin(), fill.end(), to);
    }
  }

  double share_, least_, most_;
};

/// Shares of an area, the smaller one first.
std::pair<double, double> take_shares(TransformArguments& arguments, double least, double most) {
  least = arguments.number("area", 0, 1, least);
  most = arguments.number("most", 0, 1, most);
  if (least > most) arguments.refuse("area is above most");
  return {least, most};
}

}  // namespace

TransformPtr make_resize(TransformArguments& arguments) {
  if (arguments.is_size()) return std::make_unique<Resize>(std::nullopt, arguments.size("size"));
  return std::make_unique<Resize>(arguments.integer("side", 1, kMostPictureSide), PictureSize{});
}

TransformPtr make_center_crop(TransformArguments& arguments) {
  return std::make_unique<CenterCrop>(arguments.size("side"));
}

TransformPtr make_pad_crop(TransformArguments& arguments) {
  return std::make_unique<PadCrop>(arguments.integer("pixels", 1, kMostPictureSide));
}

TransformPtr make_random_resized_crop(TransformArguments& arguments) {
  const PictureSize size = arguments.size("side");
  const auto [least, most] = take_shares(arguments, 0.08, 1);
  return std::make_unique<RandomResizedCrop>(size, least, most);
}

TransformPtr make_flip(TransformArguments& arguments) {
  return std::make_unique<Flip>(arguments.number("p", 0, 1, 0.5));
}

TransformPtr make_random_erasing(TransformArguments& arguments) {
  const double share = arguments.number("p", 0, 1, 0.5);
  const auto [least, most] = take_shares(arguments, 0.02, 0.33);
  return std::make_unique<RandomErasing>(share, least, most);
}

}  // namespace sluice
