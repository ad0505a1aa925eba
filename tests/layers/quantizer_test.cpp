// Quantisation kernels of every instruction set against plain code, bit by bit: ties, zeros, denormal numbers, NaN.
#include "layers/quantizer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "layers/kernels/bipolar_kernels.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kDenormal = 1e-40F;

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa <= cpu_isa()) all.push_back(isa);
  }
  return all;
}

/// Values of every kind; `odd` many, so that the last vector is not whole.
template <class T>
std::vector<T> values(float scale) {
  Random random(11, Purpose::kTest, 5);
  std::vector<T> all(1037);
  for (T& value : all) narrow(static_cast<float>(random.normal()), value);
  const float special[] = {
      0,         -0.0F,      scale,     -scale,         scale / 2, -scale / 2,    scale / 6,        -scale / 6,
      kInfinity, -kInfinity, kDenormal, -kDenormal,     scale * 2, scale * 5 / 6, scale / 14,       1.0F,
      -1.0F,     1e-9F,      3e38F,     scale * 3 / 14, 1e-30F,    -1e-30F,       scale * 11 / 510, scale / 510};
  std::size_t at = 3;
  for (const float value : special) narrow(value, all[at += 17]);
  return all;
}

/// Exactly 0, also where the processor takes denormal numbers for it.
bool is_zero(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits << 1 == 0;
}

float level(float x, float scale, float count) {
  const float share = std::abs(x) / scale;
  // Products are rounded to fp32 first, on every processor.
  volatile float product = (share > 1 ? 1.0F : share) * count;
  return std::nearbyint(product);
}

/// The bits of a level with the mark of an exact 0.
float marked(float magnitude, float x) {
  if (is_zero(x)) return -0.0F;
  return magnitude == 0 ? 0.0F : std::copysign(magnitude, x);
}

template <class L>
void expect_bits(L got, float want, float x) {
  L expected{};
  narrow(want, expected);
  EXPECT_EQ(std::memcmp(&got, &expected, sizeof got), 0) << "of " << x << ": " << widen(got) << ", expected " << want;
}

template <class T, class L>
void check_levels() {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(to_string(isa));
    const QuantizeKernels<T, L>& kernels = quantize_kernels<T, L>(isa);
    for (const float count : {1.0F, 3.0F, 7.0F, 255.0F}) {
      const float scale = 2.2F;
      const std::vector<T> src = values<T>(scale);
      const auto n = static_cast<std::int64_t>(src.size());
      std::vector<L> levels(src.size()), base(src.size()), rest(src.size());
      kernels.quantize(n, src.data(), {scale, count}, levels.data());
      const float step = count > 1 ? 2.0F : 1.0F;
      kernels.split(n, src.data(), {scale, count}, step, base.data(), rest.data());
      for (std::size_t i = 0; i < src.size(); ++i) {
        const float x = widen(src[i]), magnitude = level(x, scale, count);
        const float kept = std::floor(magnitude / step) * step, cut = magnitude - kept;
        expect_bits(levels[i], marked(magnitude, x), x);
        expect_bits(base[i], marked(kept, x), x);
        expect_bits(rest[i], cut == 0 ? 0.0F : std::copysign(cut, x), x);
      }
    }
  }
}

TEST(QuantizeKernels, RoundToLevels) {
  check_levels<float, float>();
  check_levels<float, BFloat16>();
  check_levels<BFloat16, BFloat16>();
}

/// With denormal numbers flushed, as programs run: they count as not 0.
TEST(QuantizeKernels, RoundToLevelsWhereDenormalNumbersAreFlushed) {
  set_threads(num_threads());
  check_levels<float, float>();
}

TEST(QuantizeKernels, KeepNaN) {
  for (const Isa isa : isas()) {
    const std::vector<float> src(19, kNaN);
    std::vector<float> levels(19), rest(19);
    quantize_kernels<float, float>(isa).quantize(19, src.data(), {1, 7}, levels.data());
    for (const float value : levels) EXPECT_TRUE(std::isnan(value));
    quantize_kernels<float, float>(isa).binarize(19, src.data(), levels.data());
    for (const float value : levels) EXPECT_TRUE(std::isnan(value));
    quantize_kernels<float, float>(isa).split(19, src.data(), {1, 7}, 2, levels.data(), rest.data());
    for (const float value : levels) EXPECT_TRUE(std::isnan(value));
    bipolar_kernels<float, float>(isa).quantize(19, src.data(), 3, levels.data());
    for (const float value : levels) EXPECT_TRUE(std::isnan(value));
    bipolar_kernels<float, float>(isa).split(19, src.data(), 3, 2, levels.data(), rest.data());
    for (std::size_t i = 0; i < 19; ++i) EXPECT_TRUE(std::isnan(levels[i]) && std::isnan(rest[i]));
    EXPECT_TRUE(std::isnan(magnitude_kernels<float>(isa).largest(19, src.data())));
  }
}

template <class T, class L>
void check_binary() {
  for (const Isa isa : isas()) {
    const std::vector<T> src = values<T>(2.0F);
    std::vector<L> levels(src.size());
    quantize_kernels<T, L>(isa).binarize(static_cast<std::int64_t>(src.size()), src.data(), levels.data());
    for (std::size_t i = 0; i < src.size(); ++i) {
      const float x = widen(src[i]), clamped = std::min(std::max(x, -1.0F), 1.0F);
      expect_bits(levels[i], std::nearbyint((clamped + 1) / 2) * 2 - 1, x);
    }
  }
}

TEST(QuantizeKernels, Binarize) {
  check_binary<float, float>();
  check_binary<float, BFloat16>();
  check_binary<BFloat16, BFloat16>();
}

template <class T, class L>
void check_bipolar() {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(to_string(isa));
    const BipolarKernels<T, L>& kernels = bipolar_kernels<T, L>(isa);
    for (const auto& [count, step] : {std::pair(1.0F, 1.0F), {3.0F, 2.0F}, {15.0F, 2.0F}, {15.0F, 8.0F}}) {
      const std::vector<T> src = values<T>(1.0F);
      const auto n = static_cast<std::int64_t>(src.size());
      std::vector<L> levels(src.size()), base(src.size()), rest(src.size());
      kernels.quantize(n, src.data(), count, levels.data());
      kernels.split(n, src.data(), count, step, base.data(), rest.data());
      for (std::size_t i = 0; i < src.size(); ++i) {
        const float x = widen(src[i]), clamped = std::min(std::max(x, -1.0F), 1.0F);
        const float number = std::nearbyint((clamped + 1) * (count / 2)), cut = std::fmod(number, step);
        expect_bits(levels[i], 2 * number - count, x);
        expect_bits(rest[i], 2 * cut - (step - 1), x);
        expect_bits(base[i], 2 * number - count - (2 * cut - (step - 1)), x);
      }
    }
  }
}

TEST(BipolarKernels, RoundToLevels) {
  check_bipolar<float, float>();
  check_bipolar<float, BFloat16>();
  check_bipolar<BFloat16, BFloat16>();
}

template <class T, class L>
void check_mask() {
  for (const Isa isa : isas()) {
    const std::vector<T> src = values<T>(2.0F);
    const auto n = static_cast<std::int64_t>(src.size());
    std::vector<L> levels(src.size());
    std::vector<T> diff = values<T>(3.0F);
    const std::vector<T> before = diff;
    quantize_kernels<T, L>(isa).quantize(n, src.data(), {2, 3}, levels.data());
    quantize_kernels<T, L>(isa).mask(n, levels.data(), diff.data());
    for (std::size_t i = 0; i < src.size(); ++i) {
      const bool zero = is_zero(widen(src[i]));
      EXPECT_EQ(widen(diff[i]), zero ? 0.0F : widen(before[i])) << "source " << widen(src[i]);
    }
  }
}

TEST(QuantizeKernels, MaskWhereTheSourceIsZero) {
  check_mask<float, float>();
  check_mask<float, BFloat16>();
  check_mask<BFloat16, BFloat16>();
}

TEST(MagnitudeKernels, FindTheLargest) {
  for (const Isa isa : isas()) {
    std::vector<float> src = {0, -3, 2, kDenormal};
    for (std::size_t n = 0; n <= src.size(); ++n) {
      const float want = n < 2 ? 0.0F : 3.0F;
      EXPECT_EQ(magnitude_kernels<float>(isa).largest(static_cast<std::int64_t>(n), src.data()), want) << n;
    }
    src.assign(333, -1.5F);
    src[332] = kInfinity;
    EXPECT_EQ(magnitude_kernels<float>(isa).largest(333, src.data()), kInfinity);
    EXPECT_EQ(magnitude_kernels<float>(isa).largest(332, src.data()), 1.5F);
    const std::vector<BFloat16> narrowed = values<BFloat16>(2.0F);
    EXPECT_EQ(magnitude_kernels<BFloat16>(isa).largest(9, narrowed.data()), [&] {
      float most = 0;
      for (int i = 0; i < 9; ++i) most = std::max(most, std::abs(widen(narrowed[static_cast<std::size_t>(i)])));
      return most;
    }());
  }
}

TEST(DynamicScale, DoesNotDependOnTheThreads) {
  std::vector<float> src(200001, 0.25F);
  src[131071] = -7.5F;
  const Tensor tensor{{{200001}, DataType::kF32, 0}, src.data()};
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    EXPECT_EQ(dynamic_scale(tensor), 7.5F + 1e-7F);
  }
  src[5] = kNaN;
  EXPECT_TRUE(std::isnan(dynamic_scale(tensor)));
  set_threads(before);
}

TEST(Quantizer, Levels) {
  EXPECT_EQ((Quantizer{1, LevelSet::kFull}.levels()), 1);
  EXPECT_EQ((Quantizer{8, LevelSet::kFull}.levels()), 255);
  EXPECT_EQ((Quantizer{8, LevelSet::kSigned}.levels()), 127);
  EXPECT_EQ((Quantizer{2, LevelSet::kSigned}.levels()), 1);
  EXPECT_EQ((Quantizer{1, LevelSet::kSigned}.levels()), 1);
  EXPECT_EQ((Quantizer{2, LevelSet::kBipolar}.levels()), 3);
  EXPECT_EQ((Quantizer{1, LevelSet::kBipolar}.levels()), 1);
}

TEST(Int8Kernels, NarrowEveryLevelAndTellNaN) {
  std::vector<float> levels(3 * 85);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<float>(i);
  levels[0] = -0.0F;  // the mark of an exact 0
  for (const Isa isa : isas()) {
    std::vector<std::uint8_t> bytes(levels.size());
    EXPECT_FALSE(int8_kernels(isa).narrow(255, levels.data(), bytes.data())) << to_string(isa);
    for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_EQ(bytes[i], i) << to_string(isa);
    std::vector<float> broken = levels;
    broken[254] = kNaN;
    EXPECT_TRUE(int8_kernels(isa).narrow(255, broken.data(), bytes.data())) << to_string(isa);
    EXPECT_EQ(bytes[254], 0) << to_string(isa);
  }
}

TEST(Int8Kernels, NarrowPairs) {
  std::vector<float> levels(3 * 37);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<float>(i % 128);
  for (const Isa isa : isas()) {
    std::vector<std::uint8_t> bytes(2 * levels.size());
    EXPECT_FALSE(int8_kernels(isa).narrow_pairs(3, 37, levels.data(), bytes.data())) << to_string(isa);
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t c = 0; c < 37; ++c) {
        const float level = levels[37 * row + c];
        EXPECT_EQ(static_cast<float>(bytes[74 * row + c]), 2 * level) << to_string(isa) << " " << row << " " << c;
        EXPECT_EQ(static_cast<float>(bytes[74 * row + 37 + c]), level) << to_string(isa) << " " << row << " " << c;
      }
    }
    levels[36] = kNaN;
    EXPECT_TRUE(int8_kernels(isa).narrow_pairs(3, 37, levels.data(), bytes.data())) << to_string(isa);
    levels[36] = 36;
  }
}

TEST(QuantizationOptions, SumsAreExactBelow2To24) {
  QuantizationOptions options;
  options.activation_bits = 3;
  EXPECT_TRUE(options.has_exact_sums(9 * 1044)) << "255 * 7 * 9396 < 2^24";
  EXPECT_FALSE(options.has_exact_sums(9 * 1045));
  EXPECT_TRUE(options.has_exact_pairs(9 * 1044));
  EXPECT_FALSE(options.has_exact_pairs(9 * 1045));
  options.scales = SourceScale::kImage;
  EXPECT_FALSE(options.has_exact_sums(9)) << "what is multiplied are no levels";
  options = {};
  options.weight_bits = 16;
  options.activation_bits = 2;
  EXPECT_TRUE(options.has_exact_sums(9));
  EXPECT_FALSE(options.has_exact_pairs(9)) << "65535 is no signed number of 16 bits";
  options.weight_levels = LevelSet::kSigned;
  EXPECT_TRUE(options.has_exact_pairs(9));
  for (const bool weights : {false, true}) {
    options = {};
    (weights ? options.weight_bits : options.activation_bits) = 0;
    EXPECT_FALSE(options.has_exact_sums(1)) << "a side in floating point";
  }
}

}  // namespace
}  // namespace sluice
