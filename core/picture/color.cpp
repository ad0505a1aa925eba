#include "core/picture/color.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/picture/transform_kinds.hpp"

namespace sluice {

namespace {

using ByteTable = std::array<std::uint8_t, 256>;

int luma(const std::uint8_t* pixel) {
  return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

/// from + factor x (to - from), cut off to a byte.
std::uint8_t blend(int from, int to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(static_cast<int>(std::clamp(value, 0.0F, 255.0F)));
}

template <class Value>
ByteTable make_table(Value value) {
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value(i));
  return table;
}

/// table(channel) for each channel in turn.
template <class Table>
void replace_each(Picture& picture, Table table) {
  for (std::int64_t c = 0; c < picture.channels; ++c) {
    const ByteTable& values = table(c);
    std::uint8_t* at = picture.pixels.data() + c;
    for (std::int64_t i = 0; i < picture.size.pixels(); ++i, at += picture.channels) *at = values[*at];
  }
}

void replace(Picture& picture, const ByteTable& table) {
  for (std::uint8_t& value : picture.pixels) value = table[value];
}

using Counts = std::array<std::int64_t, 256>;

Counts count_values(const Picture& picture, std::int64_t channel) {
  Counts counts{};
  const std::uint8_t* at = picture.pixels.data() + channel;
  for (std::int64_t i = 0; i < picture.size.pixels(); ++i, at += picture.channels) ++counts[*at];
  return counts;
}

template <class Body>
void for_colours(Picture& picture, Body body) {
  if (picture.channels != 3) return;
  std::uint8_t* pixel = picture.pixels.data();
  for (std::int64_t i = 0; i < picture.size.pixels(); ++i, pixel += 3) body(pixel);
}

struct Hsv {
  int hue = 0, saturation = 0, value = 0;  // bytes
};

Hsv to_hsv(const std::uint8_t* pixel) {
  const int red = pixel[0], green = pixel[1], blue = pixel[2];
  const int most = std::max({red, green, blue}), range = most - std::min({red, green, blue});
  if (range == 0) return {0, 0, most};
  const auto away = [most, range](int value) { return static_cast<float>(most - value) / static_cast<float>(range); };
  float hue = 0;
  if (red == most) {
    hue = away(blue) - away(green);
  } else if (green == most) {
    hue = 2 + away(red) - away(blue);
  } else {
    hue = 4 + away(green) - away(red);
  }
  hue = std::fmod(hue / 6 + 1, 1.0F);
  return {static_cast<int>(hue * 255), static_cast<int>(static_cast<float>(range) / static_cast<float>(most) * 255),
          most};
}

void from_hsv(const Hsv& hsv, std::uint8_t* pixel) {
  const float saturation = static_cast<float>(hsv.saturation) / 255, sixth = static_cast<float>(hsv.hue) * 6 / 255;
  const int sector = static_cast<int>(sixth);
  const float within = sixth - static_cast<float>(sector);
  const auto less = [&](float share) {
    return static_cast<std::uint8_t>(std::lround(static_cast<float>(hsv.value) * (1 - saturation * share)));
  };
  const auto most = static_cast<std::uint8_t>(hsv.value);
  const std::uint8_t least = less(1), falling = less(within), rising = less(1 - within);
  const std::uint8_t sectors[6][3] = {{most, rising, least},  {falling, most, least}, {least, most, rising},
                                      {least, falling, most}, {rising, least, most},  {most, least, falling}};
  std::copy_n(sectors[sector % 6], 3, pixel);
}

class ColorJitter : public Transform {
 public:
  explicit ColorJitter(const std::array<double, 4>& strengths) : strengths_(strengths) {}
  void apply(Picture& picture, TransformWork& work) const override {
    std::array<int, 4> order = {0, 1, 2, 3};
    for (std::size_t i = 3; i > 0; --i) std::swap(order[i], order[work.random.below(i + 1)]);
    for (const int which : order) {
      const double strength = strengths_[static_cast<std::size_t>(which)], drawn = 2 * work.random.uniform() - 1;
      if (strength > 0) change(picture, which, strength, drawn);
    }
  }

 private:
  /// drawn: [-1, 1).
  static void change(Picture& picture, int which, double strength, double drawn) {
    const double low = std::max(0.0, 1 - strength), factor = low + (1 + strength - low) * (drawn + 1) / 2;
    switch (which) {
      case 0:
        return adjust_brightness(picture, factor);
      case 1:
        return adjust_contrast(picture, factor);
      case 2:
        return adjust_saturation(picture, factor);
      default:
        adjust_hue(picture, strength * drawn);
    }
  }

  std::array<double, 4> strengths_;
};

class Grayscale : public Transform {
 public:
  explicit Grayscale(double share) : share_(share) {}
  void apply(Picture& picture, TransformWork& work) const override {
    if (work.random.uniform() < share_) adjust_saturation(picture, 0);
  }
  bool random() const override { return share_ > 0 && share_ < 1; }

 private:
  double share_;
};

}  // namespace

void adjust_brightness(Picture& picture, double factor) {
  const auto f = static_cast<float>(factor);
  replace(picture, make_table([f](int value) { return blend(0, value, f); }));
}

void adjust_contrast(Picture& picture, double factor) {
  double sum = 0;
  if (picture.channels == 3) {
    for_colours(picture, [&sum](const std::uint8_t* pixel) { sum += luma(pixel); });
  } else {
    for (const std::uint8_t value : picture.pixels) sum += value;
  }
  const int mean = static_cast<int>(sum / static_cast<double>(picture.size.pixels()) + 0.5);
  const auto f = static_cast<float>(factor);
  replace(picture, make_table([f, mean](int value) { return blend(mean, value, f); }));
}

void adjust_saturation(Picture& picture, double factor) {
  const auto f = static_cast<float>(factor);
  for_colours(picture, [f](std::uint8_t* pixel) {
    const int grey = luma(pixel);
    for (int c = 0; c < 3; ++c) pixel[c] = blend(grey, pixel[c], f);
  });
}

void adjust_sharpness(Picture& picture, double factor, Picture& other) {
  constexpr int kMiddle = 5, kSum = 13;  // of the smooth picture's 3 x 3 weights; the others are 1
  const auto f = static_cast<float>(factor);
  other.reshape(picture.size, picture.channels);
  std::copy(picture.pixels.begin(), picture.pixels.end(), other.pixels.begin());
  const std::int64_t step = picture.channels;
  for (std::int64_t y = 1; y + 1 < picture.size.height; ++y) {
    const std::uint8_t *above = other.row(y - 1), *here = other.row(y), *below = other.row(y + 1);
    std::uint8_t* const to = picture.row(y);
    for (std::int64_t i = step; i < picture.row_bytes() - step; ++i) {
      const int sum = above[i - step] + above[i] + above[i + step] + here[i - step] + kMiddle * here[i] +
                      here[i + step] + below[i - step] + below[i] + below[i + step];
      to[i] = blend((2 * sum + kSum) / (2 * kSum), here[i], f);
    }
  }
}

void adjust_hue(Picture& picture, double turn) {
  const int steps = static_cast<int>(turn * 255);
  for_colours(picture, [steps](std::uint8_t* pixel) {
    Hsv hsv = to_hsv(pixel);
    hsv.hue = (hsv.hue + steps) & 255;
    from_hsv(hsv, pixel);
  });
}

void posterize(Picture& picture, int bits) {
  const int mask = 0xFF & ~((1 << (8 - bits)) - 1);
  replace(picture, make_table([mask](int value) { return value & mask; }));
}

void solarize(Picture& picture, double threshold) {
  replace(picture, make_table([threshold](int value) { return value < threshold ? value : 255 - value; }));
}

void stretch_contrast(Picture& picture) {
  replace_each(picture, [&picture](std::int64_t channel) {
    const Counts counts = count_values(picture, channel);
    int low = 0, high = 255;
    while (low < 255 && counts[static_cast<std::size_t>(low)] == 0) ++low;
    while (high > 0 && counts[static_cast<std::size_t>(high)] == 0) --high;
    if (high <= low) return make_table([](int value) { return value; });
    const double scale = 255.0 / (high - low), offset = -low * scale;
    return make_table([=](int value) { return std::clamp(static_cast<int>(value * scale + offset), 0, 255); });
  });
}

void equalize(Picture& picture) {
  replace_each(picture, [&picture](std::int64_t channel) {
    const Counts counts = count_values(picture, channel);
    const auto last = std::find_if(counts.rbegin(), counts.rend(), [](std::int64_t n) { return n > 0; });
    const std::int64_t step = (picture.size.pixels() - *last) / 255;
    if (step == 0) return make_table([](int value) { return value; });
    std::int64_t sum = step / 2;
    return make_table([&](int value) {
      const std::int64_t now = sum / step;
      sum += counts[static_cast<std::size_t>(value)];
      return std::min<std::int64_t>(now, 255);
    });
  });
}

TransformPtr make_color_jitter(TransformArguments& arguments) {
  std::array<double, 4> strengths = {arguments.number("brightness", 0, 100)};
  strengths[1] = arguments.number("contrast", 0, 100, 0);
  strengths[2] = arguments.number("saturation", 0, 100, 0);
  strengths[3] = arguments.number("hue", 0, 0.5, 0);
  return std::make_unique<ColorJitter>(strengths);
}

TransformPtr make_grayscale(TransformArguments& arguments) {
  return std::make_unique<Grayscale>(arguments.number("p", 0, 1, 0.1));
}

}  // namespace sluice
