// Convolutions of levels, in every build that this processor runs: the bits of plain loops over whole numbers.
#include "layers/level_convolution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr float kScale = 1.75F, kDstScale = 20;

struct LevelCase {
  std::int64_t images = 2, inputs = 16, outputs = 16, height = 5, width = 9;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  std::int64_t source_bits = 3, weight_bits = 8;
  LevelSet weight_set = LevelSet::kFull;
  std::int64_t block = 0;
  bool negative = false;    ///< the source has numbers below 0
  bool from_bytes = false;  ///< it comes in levels
  int dst_levels = 0;
  bool adds = true;
  bool winograd = false;
  bool largest = false;  ///< all numbers are as large as can be
};

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// By the formula; what is no number has none.
std::optional<std::int64_t> level_of(float x, float scale, std::int64_t count) {
  if (std::isnan(x)) return std::nullopt;
  const float share = std::min(std::abs(x) / scale, 1.0F);
  const auto level = static_cast<std::int64_t>(std::nearbyint(share * static_cast<float>(count)));
  return x < 0 ? -level : level;
}

class LevelData {
 public:
  explicit LevelData(const LevelCase& c) : case_(c), random_(7, Purpose::kTest) {
    problem_.geometry.channels = c.outputs;
    problem_.geometry.kernel = c.kernel;
    problem_.geometry.stride = c.stride;
    problem_.geometry.pad = c.pad;
    problem_.geometry.dilation = c.dilation;
    problem_.source = {c.source_bits, LevelSet::kFull};
    problem_.weights = {c.weight_bits, c.weight_set};
    problem_.src = {{c.images, c.inputs, c.height, c.width}, DataType::kF32, c.block == 0 ? c.inputs : c.block};
    problem_.dst = problem_.src;
    problem_.dst.shape = problem_.geometry.dst_shape(problem_.src.shape);
    problem_.dst.block = c.block == 0 ? c.outputs : c.block;
    problem_.src_nonnegative = !c.negative;
    problem_.dst_levels = c.dst_levels;
    problem_.winograd = c.winograd;
    if (c.from_bytes) problem_.src.type = DataType::kU8;
    if (c.dst_levels > 0) problem_.dst.type = DataType::kU8;
    problem_.epilogue.adds = c.adds;
    problem_.epilogue.bounded = c.dst_levels > 0;
    make_values();
  }

  void spoil(std::int64_t at) {
    if (case_.from_bytes) bytes_[index(at)] = kNoLevel;
    values_[index(at)] = std::numeric_limits<float>::quiet_NaN();
  }

  /// Whether Winograd's algorithm gives the same sums.
  bool may_transform() const {
    return level_winograd_fits(problem_.geometry, problem_.source.levels(), problem_.weights.levels(), case_.inputs);
  }
  std::string kernel(Isa isa) const { return LevelConvolution(problem_, isa).kernel(); }

  /// Floats, or levels as such.
  std::vector<float> run(Isa isa) const {
    LevelConvolution conv(problem_, isa);
    SlotBook book;
    conv.book(book, book.scratch());
    const OwnMemory memory(book);
    conv.pack(memory.memory(), weights_.data());
    const auto padded = [&](std::vector<float> row) {
      row.resize(index(conv.padded()), std::numeric_limits<float>::quiet_NaN());
      return row;
    };
    const std::vector<float> scale = padded(scale_), shift = padded(shift_);
    const float bound = kBound, dst_scale = kDstScale;
    const void* const src = case_.from_bytes ? static_cast<const void*>(bytes_.data()) : values_.data();
    std::vector<float> result(index(problem_.dst.count()), -1.0F);
    std::vector<std::uint8_t> bytes(result.size(), 123);
    void* const dst = case_.dst_levels > 0 ? static_cast<void*>(bytes.data()) : result.data();
    conv.run(memory.memory(), src, {kScale, scale.data(), shift.data(), addend_.data(), &bound, &dst_scale}, dst);
    if (case_.dst_levels > 0) std::copy(bytes.begin(), bytes.end(), result.begin());
    return result;
  }

  std::string compare(Isa isa) const {
    const std::vector<float> got = run(isa);
    const Shape& s = problem_.dst.shape;
    for (std::int64_t i = 0; i < problem_.dst.count(); ++i) {
      const std::int64_t n = i / s[kW] / s[kH] / s[kC], o = i / s[kW] / s[kH] % s[kC], y = i / s[kW] % s[kH],
                         x = i % s[kW], at = problem_.dst.offset(n, o, y, x);
      const float want = expected(n, o, y, x, at);
      if (got[index(at)] == want) continue;
      std::ostringstream out;
      out << case_.inputs << "x" << case_.height << "x" << case_.width << " to " << case_.outputs << ", kernel "
          << case_.kernel << ", " << kernel(isa) << ": image " << n << ", channel " << o << ", row " << y << ", column "
          << x << ": got " << got[index(at)] << ", expected " << want;
      return out.str();
    }
    return "";
  }

 private:
  static constexpr float kBound = 17;

  void make_values() {
    const std::int64_t levels = problem_.source.levels(), most = problem_.weights.levels();
    const float half = kScale / (2.0F * static_cast<float>(levels));
    for (std::int64_t i = 0; i < problem_.src.count(); ++i) {
      const float x = case_.largest ? largest_source(i) : static_cast<float>(random_.normal());
      const float tie = i % 3 == 0 ? std::nearbyint(x / half) * half : x;
      values_.push_back(case_.negative ? tie : std::abs(tie));
      bytes_.push_back(static_cast<std::uint8_t>(level_of(std::abs(tie), kScale, levels).value()));
    }
    const std::int64_t taps = case_.kernel * case_.kernel;
    for (std::int64_t i = 0; i < case_.outputs * case_.inputs * taps; ++i) {
      const auto bound = static_cast<double>(most);
      const double w = case_.largest ? static_cast<double>(largest_weight()) : random_.normal();
      weights_.push_back(static_cast<float>(std::clamp(std::nearbyint(w * bound), -bound, bound)));
    }
    for (std::int64_t i = 0; i < problem_.dst.count(); ++i) addend_.push_back(static_cast<float>(random_.normal()));
    for (std::int64_t o = 0; o < case_.outputs; ++o) {
      scale_.push_back(static_cast<float>(random_.normal()) * 20.0F / static_cast<float>(levels * most));
      shift_.push_back(static_cast<float>(random_.normal()));
    }
  }

  /// Signs that make the first and the last row of B^T as large as can be, unless there are none.
  float largest_source(std::int64_t at) const {
    const Shape& s = problem_.src.shape;
    const std::int64_t pixel = at / problem_.src.block % (s[kH] * s[kW]);
    const std::int64_t y = pixel / s[kW] + case_.pad, x = pixel % s[kW] + case_.pad;
    return case_.negative && y % 4 / 2 != x % 4 / 2 ? -kScale : kScale;
  }
  float largest_weight() { return case_.negative && random_.below(2) == 0 ? -1.0F : 1.0F; }

  std::int64_t sum(std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) const {
    const LevelCase& c = case_;
    std::int64_t total = 0;
    for (std::int64_t tap = 0; tap < c.kernel * c.kernel; ++tap) {
      const std::int64_t h = y * c.stride - c.pad + tap / c.kernel * c.dilation,
                         w = x * c.stride - c.pad + tap % c.kernel * c.dilation;
      if (h < 0 || w < 0 || h >= c.height || w >= c.width) continue;
      for (std::int64_t i = 0; i < c.inputs; ++i) {
        const float value = values_[index(problem_.src.offset(n, i, h, w))];
        const auto weight = static_cast<std::int64_t>(weights_[index((o * c.inputs + i) * c.kernel * c.kernel + tap)]);
        total += weight * level_of(value, kScale, problem_.source.levels()).value();
      }
    }
    return total;
  }

  float expected(std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x, std::int64_t at) const {
    float result = static_cast<float>(sum(n, o, y, x)) * scale_[index(o)];
    result = result + shift_[index(o)];
    if (case_.adds) result = result + addend_[index(at)];
    if (case_.dst_levels == 0) return result;
    return static_cast<float>(level_of(std::clamp(result, 0.0F, kBound), kDstScale, case_.dst_levels).value());
  }

  LevelCase case_;
  Random random_;
  LevelProblem problem_;
  std::vector<float> values_, weights_, addend_, scale_, shift_;
  std::vector<std::uint8_t> bytes_;
};

class LevelConvolutionTest : public KernelTest {
 protected:
  /// From floats and from levels, to floats and to levels; by Winograd's algorithm too.
  void expect(LevelCase c) const {
    expect_direct(c);
    c.winograd = true;
    if (LevelData(c).may_transform()) expect_direct(c);
  }
  void expect_direct(LevelCase c) const {
    for (const bool from_bytes : {false, true}) {
      for (const int dst_levels : {0, 7}) {
        c.from_bytes = from_bytes && !c.negative && (1 << c.source_bits) <= 128;
        c.dst_levels = dst_levels;
        EXPECT_EQ(LevelData(c).compare(GetParam()), "");
      }
    }
  }
  /// Of three images the second holds what is no number.
  void expect_spoiled(bool winograd, bool from_bytes, int dst_levels) const;
};

void LevelConvolutionTest::expect_spoiled(bool winograd, bool from_bytes, int dst_levels) const {
  LevelCase c;
  c.images = 3;
  c.winograd = winograd;
  c.from_bytes = from_bytes;
  c.dst_levels = dst_levels;
  LevelData data(c);
  const std::vector<float> before = data.run(GetParam());
  data.spoil(2 * c.inputs * c.height * c.width - 1);
  const std::vector<float> after = data.run(GetParam());
  const std::size_t each = before.size() / 3;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (i / each != 1) {
      ASSERT_EQ(after[i], before[i]) << i;
    } else if (dst_levels > 0) {
      ASSERT_EQ(after[i], kNoLevel) << i;
    } else {
      ASSERT_TRUE(std::isnan(after[i])) << i;
    }
  }
}

LevelCase sizes(std::int64_t inputs, std::int64_t outputs, std::int64_t height, std::int64_t width) {
  LevelCase c;
  c.inputs = inputs;
  c.outputs = outputs;
  c.height = height;
  c.width = width;
  return c;
}

TEST_P(LevelConvolutionTest, ChannelsOfEveryWidth) {
  for (const LevelSet set : {LevelSet::kFull, LevelSet::kSigned}) {
    for (const std::int64_t channels : {1, 2, 3, 8, 16, 17, 32, 48}) {
      LevelCase c = sizes(channels, channels, 4, 9);
      c.weight_set = set;
      expect(c);
    }
    LevelCase c = sizes(13, 7, 6, 11);
    c.adds = false;
    c.weight_set = set;
    expect(c);
    c = sizes(70, 12, 1, 1);
    c.weight_set = set;
    expect(c);
  }
}

TEST_P(LevelConvolutionTest, Filters) {
  for (const LevelSet set : {LevelSet::kFull, LevelSet::kSigned}) {
    LevelCase c = sizes(16, 24, 9, 11);
    c.weight_set = set;
    c.stride = 2;
    expect(c);
    c.kernel = 1;
    c.pad = 0;
    expect(c);
    c.stride = 1;
    c.kernel = 5;
    c.pad = 2;
    expect(c);
    c.kernel = 3;
    c.dilation = 2;
    expect(c);
    c.dilation = 1;
    c.pad = 0;
    expect(c);
    c.width = 40;
    c.height = 40;  // several tiles
    expect(c);
  }
}

/// Bytes are multiplied where sums of two rows of products fit 16 bits, or where the processor needs no such sums.
TEST_P(LevelConvolutionTest, LevelsOfEverySize) {
  for (const std::int64_t source_bits : {2, 3, 5, 6, 7, 8}) {
    for (const std::int64_t weight_bits : {1, 2, 7, 8}) {
      LevelCase c = sizes(24, 9, 5, 8);
      c.source_bits = source_bits;
      c.weight_bits = weight_bits;
      expect(c);
      c.weight_set = LevelSet::kSigned;
      expect(c);
      c.negative = true;
      expect(c);
    }
  }
  LevelCase c = sizes(16, 16, 5, 9);
  EXPECT_EQ(LevelData(c).kernel(GetParam()), "levels:" + to_string(GetParam()));
  c.weight_set = LevelSet::kSigned;
  EXPECT_EQ(LevelData(c).kernel(GetParam()), "levels:" + to_string(GetParam()) + ":bytes");
  c.winograd = true;
  EXPECT_EQ(LevelData(c).kernel(GetParam()), "levels:" + to_string(GetParam()) + ":wino");
  c.winograd = false;
  c.negative = true;
  EXPECT_EQ(LevelData(c).kernel(GetParam()), "levels:" + to_string(GetParam()));
}

TEST_P(LevelConvolutionTest, TilesOfEverySize) {
  for (const std::int64_t pad : {0, 1, 2}) {
    for (std::int64_t size = 3; size <= 10; ++size) {
      LevelCase c = sizes(18, 17, size, 13 - size);
      c.pad = pad;
      expect(c);
    }
    LevelCase c = sizes(100, 3, 21, 18);  // several tiles of memory
    c.pad = pad;
    expect(c);
  }
}

/// The largest sums that Winograd's algorithm is for, and its largest transforms.
TEST_P(LevelConvolutionTest, LargestNumbers) {
  for (const bool negative : {false, true}) {
    LevelCase c = sizes(232, 5, 6, 6);
    c.largest = true;
    c.negative = negative;
    EXPECT_TRUE(LevelData(c).may_transform());
    expect(c);
    c.inputs = 233;
    EXPECT_FALSE(LevelData(c).may_transform());
    c.inputs = 6;
    c.source_bits = 8;
    EXPECT_TRUE(LevelData(c).may_transform());
    expect(c);
  }
}

TEST_P(LevelConvolutionTest, Blocks) {
  LevelCase c = sizes(32, 48, 6, 9);
  c.block = 16;
  expect(c);
}

TEST_P(LevelConvolutionTest, WhatIsNoNumberGoesAllOverItsImage) {
  for (const bool winograd : {false, true}) {
    for (const bool from_bytes : {false, true}) {
      for (const int dst_levels : {0, 7}) expect_spoiled(winograd, from_bytes, dst_levels);
    }
  }
}

/// Several of them make a tile.
TEST_P(LevelConvolutionTest, SmallImages) {
  for (const LevelSet set : {LevelSet::kFull, LevelSet::kSigned}) {
    for (const std::int64_t images : {1, 2, 7, 70}) {
      LevelCase c = sizes(19, 10, 1, 1);
      c.images = images;
      c.weight_set = set;
      c.kernel = 1;
      c.pad = 0;
      expect(c);
      c.height = 2;
      c.width = 9;
      c.kernel = 3;
      c.pad = 1;
      expect(c);
      c.stride = 2;
      expect(c);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, LevelConvolutionTest, all_isas(), isa_name);

TEST(LevelConvolution, FitsWhereSumsAreExact) {
  const auto fits = [](std::int64_t weight_bits, std::int64_t activation_bits, std::int64_t channels,
                       std::int64_t groups = 1) {
    ConvGeometry geometry;
    geometry.channels = 16;
    geometry.kernel = 3;
    geometry.groups = groups;
    QuantizationOptions options;
    options.weight_bits = weight_bits;
    options.activation_bits = activation_bits;
    return LevelConvolution::fits(geometry, options, {1, channels, 8, 8});
  };
  EXPECT_TRUE(fits(8, 3, 1044)) << "255 * 7 * 9396 < 2^24";
  EXPECT_FALSE(fits(8, 3, 1045));
  EXPECT_TRUE(fits(1, 3, 16));
  EXPECT_FALSE(fits(0, 3, 16)) << "weights in floating point";
  EXPECT_FALSE(fits(8, 0, 16));
  EXPECT_FALSE(fits(8, 1, 16)) << "a source without a scale";
  EXPECT_FALSE(fits(8, 3, 16, 4)) << "groups";
}

}  // namespace
}  // namespace sluice
