// Precision gating by the convolution that skips, in every build that this processor runs: the same bits as plain loops
// over whole numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "gating/level_limit.hpp"
#include "gating/skip/skip_conv.hpp"
#include "layers/level_winograd.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr int kNever = SkipProblem::kNever;
constexpr float kScale = 1.75F, kDstScale = 190;
constexpr int kDstLevels = 5;

struct LevelCase {
  std::int64_t images = 2, inputs = 16, outputs = 16, height = 5, width = 9;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  SkipLevels levels = {7, 2};
  std::int64_t weight_levels = 255;
  Granularity granularity = Granularity::kElement;
  double density = 0.3;  ///< share of open gates, about
  std::int64_t block = 0;
  bool ends = false;                          ///< scales, shifts, an addend and a clip
  bool from_bytes = false, to_bytes = false;  ///< source and result are in levels
  bool nonnegative = false;                   ///< the source; also where it is in levels
};

std::string to_string(const LevelCase& c) {
  std::ostringstream out;
  out << c.images << "x" << c.inputs << "x" << c.height << "x" << c.width << " to " << c.outputs << ", kernel "
      << c.kernel << " stride " << c.stride << " pad " << c.pad << " dilation " << c.dilation << ", levels "
      << c.levels.count << " step " << c.levels.step << ", granularity " << static_cast<int>(c.granularity)
      << ", density " << c.density << ", block " << c.block << (c.ends ? ", with an end" : "");
  return out.str();
}

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

std::int64_t level_of(float x, std::int64_t count, float scale = kScale) {
  const float share = std::min(std::abs(x) / scale, 1.0F);
  const auto level = static_cast<std::int64_t>(std::nearbyint(share * static_cast<float>(count)));
  return x < 0 ? -level : level;
}

/// One case with its sums. What a sum stands for, the constants and what is added are such that results are exact.
class LevelData {
 public:
  explicit LevelData(const LevelCase& c) : case_(c) {
    const ConvGeometry g = problem(kNever).geometry;
    src_ = {{c.images, c.inputs, c.height, c.width}, DataType::kF32, c.block == 0 ? c.inputs : c.block};
    dst_ = {g.dst_shape(src_.shape), DataType::kF32, c.block == 0 ? c.outputs : c.block};
    Random random(static_cast<std::uint64_t>(c.inputs * 1000 + c.outputs), Purpose::kTest);
    for (std::int64_t i = 0; i < src_.count(); ++i) {
      const double half = kScale / (2.0 * static_cast<double>(c.levels.count));  // of a level: many ties
      const double x = random.normal();
      values_.push_back(static_cast<float>(i % 3 == 0 ? std::nearbyint(x / half) * half : x));
      if (c.nonnegative || c.from_bytes) values_.back() = std::abs(values_.back());
      if (c.from_bytes) bytes_.push_back(static_cast<std::uint8_t>(level_of(values_.back(), c.levels.count)));
    }
    for (std::int64_t i = 0; i < g.weights_shape(src_.shape).count(); ++i) {
      const auto most = static_cast<double>(c.weight_levels);
      weights_.push_back(static_cast<float>(std::clamp(std::nearbyint(random.normal() * most / 2), -most, most)));
    }
    for (std::int64_t i = 0; i < dst_.count(); ++i) addend_.push_back(static_cast<float>(random.below(64)) - 32);
    for (std::int64_t o = 0; o < c.outputs; ++o) {
      scale_.push_back(o % 3 == 0 ? 0.5F : -2.0F);
      shift_.push_back(static_cast<float>(o % 5) - 2);
    }
    multiply();
    set_limits();
  }

  SkipProblem problem(int lanes_from) const {
    SkipProblem p;
    p.geometry.channels = case_.outputs;
    p.geometry.kernel = case_.kernel;
    p.geometry.stride = case_.stride;
    p.geometry.pad = case_.pad;
    p.geometry.dilation = case_.dilation;
    p.src = src_;
    p.dst = dst_;
    p.levels = case_.levels;
    p.levels.weight_count = case_.weight_levels;
    p.levels.nonnegative = case_.nonnegative || case_.from_bytes;
    p.granularity = case_.granularity;
    p.lanes_from = lanes_from;
    if (case_.ends) {
      p.addend = dst_;
      p.low = low();
      p.high = 200;
    }
    if (case_.from_bytes) p.src.type = DataType::kU8;
    if (case_.to_bytes) {
      p.dst.type = DataType::kU8;
      p.levels.dst_count = kDstLevels;
      p.low = 0;
    }
    return p;
  }

  std::vector<float>& values() { return values_; }

  std::vector<float> run(SkipConv conv, std::int64_t& open) const {
    SlotBook book;
    conv.book(book.scratch(), book.scratch());
    const Buffer packed(conv.packed_count() * 4), scratch(book.scratch_bytes());
    const Memory memory(nullptr, scratch.at(0), nullptr);
    std::memset(scratch.data(), 0xff, index(scratch.bytes()));  // whatever stands there must not matter
    conv.pack(memory, weights_.data(), packed.as<float>());
    const std::vector<float> slopes(index(case_.outputs), 1.0F);
    SkipConstants constants;
    constants.gate = {limits_.data(), slopes.data()};
    constants.src_scale = kScale;
    constants.unit = unit();
    if (case_.ends) {
      constants.open_scale = constants.closed_scale = scale_.data();
      constants.open_shift = constants.closed_shift = shift_.data();
    }
    constants.dst_scale = kDstScale;
    std::vector<float> dst(index(dst_.count()), -1.0F);
    std::vector<std::uint8_t> bytes(dst.size(), 123);
    const void* const src = case_.from_bytes ? static_cast<const void*>(bytes_.data()) : values_.data();
    open = conv.run(memory, src, packed.as<float>(), constants, case_.ends ? addend_.data() : nullptr,
                    case_.to_bytes ? static_cast<void*>(bytes.data()) : dst.data());
    if (case_.to_bytes) std::copy(bytes.begin(), bytes.end(), dst.begin());
    return dst;
  }

  /// What is wrong, or nothing.
  std::string compare(const SkipConv& conv) const {
    std::int64_t open = 0, want_open = 0;
    const std::vector<float> got = run(conv, open);
    for (std::int64_t at = 0; at < dst_.count(); ++at) {
      const bool is_open = opens(at);
      want_open += is_open ? 1 : 0;
      const Place p = place(at);
      const std::int64_t own = dst_.offset(p.n, p.o, p.y, p.x);
      float want = static_cast<float>(is_open ? whole_[index(at)] : base_[index(at)]) * unit();
      if (case_.ends) {
        want = want * scale_[index(p.o)] + shift_[index(p.o)] + addend_[index(own)];
        want = std::clamp(want, low(), 200.0F);
      }
      if (case_.to_bytes) want = static_cast<float>(level_of(std::max(want, 0.0F), kDstLevels, kDstScale));
      if (got[index(own)] == want) continue;
      std::ostringstream out;
      out << to_string(case_) << ": image " << p.n << ", channel " << p.o << ", row " << p.y << ", column " << p.x
          << ": got " << got[index(own)] << ", expected " << want << (is_open ? " (open)" : " (closed)");
      return out.str();
    }
    if (open == want_open) return "";
    return to_string(case_) + ": " + std::to_string(open) + " gates are said to be open, not " +
           std::to_string(want_open);
  }

 private:
  struct Place {
    std::int64_t n, o, y, x;
  };

  /// Where products end in scales they are multiples of a power of 2, which no order of roundings changes.
  float unit() const { return case_.ends || case_.granularity != Granularity::kElement ? 0.125F : 0.0371F; }

  float low() const { return case_.to_bytes ? 0 : -300; }

  Place place(std::int64_t at) const {
    const Shape& s = dst_.shape;
    return {at / s[kW] / s[kH] / s[kC], at / s[kW] / s[kH] % s[kC], at / s[kW] % s[kH], at % s[kW]};
  }

  void multiply() {
    const LevelCase& c = case_;
    for (std::int64_t at = 0; at < dst_.count(); ++at) {
      const Place p = place(at);
      std::int64_t base = 0, whole = 0;
      for (std::int64_t tap = 0; tap < c.kernel * c.kernel; ++tap) {
        const std::int64_t h = p.y * c.stride - c.pad + tap / c.kernel * c.dilation;
        const std::int64_t w = p.x * c.stride - c.pad + tap % c.kernel * c.dilation;
        if (h < 0 || w < 0 || h >= c.height || w >= c.width) continue;
        for (std::int64_t i = 0; i < c.inputs; ++i) {
          const std::int64_t level = level_of(values_[index(src_.offset(p.n, i, h, w))], c.levels.count);
          const auto weight =
              static_cast<std::int64_t>(weights_[index((p.o * c.inputs + i) * c.kernel * c.kernel + tap)]);
          base += weight * (level / c.levels.step * c.levels.step);
          whole += weight * level;
        }
      }
      base_.push_back(base);
      whole_.push_back(whole);
    }
  }

  /// One of each channel's own results, which so is closed; or for a pixel's mean something between two.
  void set_limits() {
    const Shape& s = dst_.shape;
    for (std::int64_t o = 0; o < case_.outputs; ++o) {
      std::vector<std::int64_t> own;
      for (std::int64_t at = 0; at < dst_.count(); ++at) {
        if (place(at).o == o) own.push_back(base_[index(at)]);
      }
      std::sort(own.begin(), own.end());
      const auto last = static_cast<double>(s[kN] * s[kH] * s[kW] - 1);
      const std::int64_t rank = std::llround((1 - case_.density) * last);
      const auto limit = static_cast<float>(case_.density >= 1 ? own.front() - 1 : own[index(rank)]);
      limits_.push_back((case_.granularity == Granularity::kElement ? limit : limit + 0.5F) * unit());
    }
  }

  bool opens(std::int64_t at) const {
    const Place p = place(at);
    if (case_.granularity == Granularity::kElement)
      return static_cast<float>(base_[index(at)]) * unit() > limits_[index(p.o)];
    const bool slice = case_.granularity == Granularity::kSlice;
    const std::int64_t first = slice ? p.o / 16 * 16 : 0, plane = dst_.shape[kH] * dst_.shape[kW];
    const std::int64_t end = slice ? std::min(first + 16, case_.outputs) : case_.outputs;
    double score = 0;
    for (std::int64_t o = first; o < end; ++o) {
      const std::int64_t own = at + (o - p.o) * plane;
      score += static_cast<double>(static_cast<float>(base_[index(own)]) * unit() - limits_[index(o)]);
    }
    return score > 0;
  }

  LevelCase case_;
  TensorDesc src_, dst_;
  std::vector<float> values_, weights_, addend_, scale_, shift_, limits_;
  std::vector<std::uint8_t> bytes_;         ///< levels of the values
  std::vector<std::int64_t> base_, whole_;  ///< N x O x H x W
};

class LevelConvTest : public KernelTest {
 protected:
  /// In every way; by Winograd's algorithm too, where it gives the same sums.
  void expect(const LevelCase& c) {
    const LevelData data(c);
    for (int from : {kNever, 4, 1, 0}) {
      SkipProblem problem = data.problem(from);
      EXPECT_EQ(data.compare(SkipConv(problem, GetParam())), "") << "from " << from;
      problem.transforms_levels = level_winograd_fits(problem.geometry, c.levels.count, c.weight_levels, c.inputs);
      if (!problem.transforms_levels) continue;
      EXPECT_EQ(data.compare(SkipConv(problem, GetParam())), "") << "from " << from << ", transformed";
    }
  }
};

class Threads {
 public:
  explicit Threads(int count) : before_(num_threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

LevelCase sizes(std::int64_t inputs, std::int64_t outputs, std::int64_t height, std::int64_t width) {
  LevelCase c;
  c.inputs = inputs;
  c.outputs = outputs;
  c.height = height;
  c.width = width;
  return c;
}

TEST_P(LevelConvTest, ChannelsOfEveryWidth) {
  for (std::int64_t channels : {1, 2, 3, 8, 16, 17, 32, 48, 64}) expect(sizes(channels, channels, 4, 9));
  expect(sizes(13, 7, 6, 11));
  expect(sizes(5, 36, 3, 10));
  expect(sizes(20, 12, 1, 1));
  expect(sizes(128, 16, 4, 4));
}

TEST_P(LevelConvTest, Filters) {
  LevelCase c = sizes(16, 24, 9, 11);
  c.stride = 2;
  expect(c);
  c = sizes(6, 16, 8, 8);
  c.kernel = 1;
  c.pad = 0;
  expect(c);
  c.stride = 3;
  expect(c);
  c = sizes(16, 8, 7, 9);
  c.kernel = 5;
  c.pad = 2;
  expect(c);
  c.pad = 0;
  expect(c);
  c = sizes(9, 16, 7, 12);
  c.dilation = 2;
  c.pad = 3;
  expect(c);
  c.kernel = 2;
  c.stride = 3;
  expect(c);
}

TEST_P(LevelConvTest, EveryDensityAndBatch) {
  for (double density : {0.0, 0.05, 0.5, 1.0}) {
    for (std::int64_t images : {1, 3}) {
      LevelCase c = sizes(16, 32, 8, 8);
      c.density = density;
      c.images = images;
      expect(c);
    }
  }
}

/// Sums come near 2^24.
TEST_P(LevelConvTest, LevelsOfEverySize) {
  for (const SkipLevels levels : {SkipLevels{3, 2}, SkipLevels{15, 8}, SkipLevels{255, 16}, SkipLevels{4095, 2048}}) {
    LevelCase c = sizes(3, 16, 5, 8);
    c.levels = levels;
    expect(c);
    c.weight_levels = 1;
    expect(c);
  }
  LevelCase c = sizes(1, 8, 5, 8);
  c.kernel = 1;
  c.pad = 0;
  c.levels = {32767, 128};
  expect(c);
}

TEST_P(LevelConvTest, SharedDecisions) {
  for (const Granularity granularity : {Granularity::kSlice, Granularity::kPixel}) {
    for (std::int64_t outputs : {16, 20, 48}) {
      LevelCase c = sizes(7, outputs, 5, 8);
      c.granularity = granularity;
      const LevelData data(c);
      for (int from : {1, 0}) {
        EXPECT_EQ(data.compare(SkipConv(data.problem(from), GetParam())), "");
      }
    }
  }
}

TEST_P(LevelConvTest, LevelsInBytes) {
  for (const bool ends : {false, true}) {
    for (const std::int64_t channels : {5, 16, 20, 32}) {
      LevelCase c = sizes(channels, channels, 5, 9);
      c.ends = ends;
      if (channels == 32) c.block = 16;
      c.from_bytes = true;
      expect(c);
      c.to_bytes = true;
      expect(c);
      c.from_bytes = false;
      expect(c);
    }
  }
}

/// Levels of both sides fit bytes, and sums of few products 16 bits.
TEST_P(LevelConvTest, ProductsOfBytes) {
  LevelCase c = sizes(16, 16, 5, 9);
  c.weight_levels = 127;
  c.nonnegative = true;
  EXPECT_NE(SkipConv(LevelData(c).problem(0), GetParam()).kernel().find(":levels:bytes"), std::string::npos);
  for (const SkipLevels levels : {SkipLevels{3, 2}, SkipLevels{7, 2}, SkipLevels{31, 4}, SkipLevels{43, 8}}) {
    for (const std::int64_t channels : {3, 16, 20, 64}) {
      c = sizes(channels, channels, 5, 9);
      c.weight_levels = 127;
      c.levels = levels;
      c.nonnegative = true;
      expect(c);
      c.from_bytes = c.to_bytes = true;
      expect(c);
    }
  }
  c = sizes(24, 16, 7, 12);
  c.weight_levels = 127;
  c.nonnegative = true;
  c.stride = 2;
  expect(c);
  c.kernel = 1;
  c.pad = 0;
  expect(c);
}

TEST_P(LevelConvTest, WhatStandsBehind) {
  for (std::int64_t channels : {16, 20}) {
    LevelCase c = sizes(channels, channels, 5, 9);
    c.ends = true;
    expect(c);
  }
  LevelCase c = sizes(32, 48, 5, 9);
  c.block = 16;
  expect(c);
  c.ends = true;
  expect(c);
}

TEST_P(LevelConvTest, Threads) {
  for (int count : {1, 3}) {
    const Threads threads(count);
    LevelCase c = sizes(16, 16, 32, 32);
    c.images = 1;
    expect(c);
    c = sizes(64, 64, 4, 4);
    c.images = 5;
    expect(c);
  }
}

TEST_P(LevelConvTest, ANaNGoesAllOverItsImage) {
  LevelData data(sizes(16, 16, 5, 9));
  for (int from : {kNever, 0}) {
    std::int64_t open = 0;
    const SkipConv conv(data.problem(from), GetParam());
    const std::vector<float> before = data.run(conv, open);
    const float was = data.values()[77];
    data.values()[77] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> after = data.run(conv, open);
    data.values()[77] = was;
    for (std::size_t i = 0; i < after.size(); ++i) {
      const bool own = i < after.size() / 2;
      ASSERT_TRUE(own ? std::isnan(after[i]) : after[i] == before[i]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, LevelConvTest, all_isas(), isa_name);

TEST(LevelLimit, IsTheLastSumThatIsClosed) {
  Random random(3, Purpose::kTest);
  for (int i = 0; i < 20000; ++i) {
    const auto unit = static_cast<float>(std::exp(random.normal() * 4));
    const auto near = static_cast<float>(random.below(1 << 25)) - (1 << 24);
    float threshold = near * unit;
    if (i % 3 == 1) threshold = std::nextafter(threshold, 0.0F);
    if (i % 3 == 2) threshold = static_cast<float>(random.normal() * 100) * unit;
    const float limit = level_limit(threshold, unit);
    ASSERT_EQ(limit, std::floor(limit));
    if (limit > -(1 << 24)) {
      ASSERT_LE(limit * unit, threshold) << threshold << " in units of " << unit;
    }
    if (limit < (1 << 24)) {
      ASSERT_GT((limit + 1) * unit, threshold) << threshold << " in units of " << unit;
    }
  }
}

TEST(LevelLimit, OfWhatIsNoNumberNothingIsAbove) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(level_limit(nan, 1)));
  EXPECT_TRUE(std::isnan(level_limit(1, nan)));
  EXPECT_EQ(level_limit(infinity, 1), 1 << 24);
  EXPECT_EQ(level_limit(-infinity, 1), -(1 << 24));
  EXPECT_EQ(level_limit(1, 0), 1 << 24);  // all products are 0
  EXPECT_EQ(level_limit(-1, 0), -(1 << 24));
  EXPECT_TRUE(std::isnan(level_limit(0, 0)));
  EXPECT_TRUE(std::isnan(level_limit(infinity, infinity)));
}

}  // namespace
}  // namespace sluice
