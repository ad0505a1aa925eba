// Winograd's kernels in every build this processor can run, against plain sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "layers/kernels/winograd_kernels.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kSrcBlocks = 3, kDstBlocks = 2;
constexpr std::int64_t kSrc = 16 * kSrcBlocks, kDst = 16 * kDstBlocks, kImages = 3, kHeight = 5, kWidth = 10,
                       kPixels = 50;

WinogradChannels channels(std::int64_t blocks, bool nhwc) {
  const std::int64_t pixel = nhwc ? 16 * blocks : 16;
  return {blocks, pixel, pixel * kWidth, nhwc ? 16 : 16 * kPixels, 16 * blocks * kPixels};
}

WinogradShape shape_of(bool nhwc) {
  return {kImages, kHeight, kWidth, channels(kSrcBlocks, nhwc), channels(kDstBlocks, nhwc)};
}

template <class T>
std::vector<T> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) narrow(uniform(engine), value);
  return values;
}

template <class T>
double at(const std::vector<T>& values, std::int64_t i) {
  return static_cast<double>(widen(values[static_cast<std::size_t>(i)]));
}

/// One problem in plain loops: calls visit(source element, weight, result element) for each product.
template <class Visit>
void for_each_product(bool nhwc, Visit&& visit) {
  const std::int64_t h = kHeight, w = kWidth;
  const auto element = [&](std::int64_t n, std::int64_t channels, std::int64_t c, std::int64_t y, std::int64_t x) {
    if (nhwc) return (n * kPixels + y * w + x) * channels + c;
    return ((n * channels / 16 + c / 16) * kPixels + y * w + x) * 16 + c % 16;
  };
  for (std::int64_t i = 0; i < kImages * kDst * kPixels * kSrc * 9; ++i) {
    const std::int64_t tap = i % 9, c = i / 9 % kSrc, rest = i / 9 / kSrc;
    const std::int64_t pixel = rest % kPixels, o = rest / kPixels % kDst, n = rest / kPixels / kDst;
    const std::int64_t y = pixel / w, x = pixel % w, sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
    if (sy < 0 || sy >= h || sx < 0 || sx >= w) continue;
    visit(element(n, kSrc, c, sy, sx), (o * kSrc + c) * 9 + tap, element(n, kDst, o, y, x));
  }
}

template <class T>
void expect_close(const std::vector<T>& got, const std::vector<double>& want, double tolerance) {
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double value = static_cast<double>(widen(got[i]));
    ASSERT_TRUE(std::abs(value - want[i]) <= tolerance * largest) << i << ": " << value << " instead of " << want[i];
  }
}

template <class T>
struct Problem {
  std::vector<T> src = random_values<T>(kImages * kSrc * kPixels, 1);
  std::vector<T> dst = random_values<T>(kImages * kDst * kPixels, 2);
  std::vector<float> weights = random_values<float>(kDst * kSrc * 9, 3);
};

std::vector<float> packed(const WinogradWeights& wanted, const std::vector<float>& plain, Isa isa) {
  std::vector<float> values(static_cast<std::size_t>(wanted.count()));
  for (std::int64_t block = 0; block < wanted.dst_blocks; ++block) {
    winograd_weight_kernels(isa).pack(wanted, block, plain.data(), values.data());
  }
  return values;
}

/// `tolerance`: of rounded results.
template <class T>
void expect_convolution(Isa isa, bool nhwc, double tolerance) {
  const WinogradShape shape = shape_of(nhwc), back{kImages, kHeight, kWidth, shape.dst, shape.src};
  const Problem<T> p;
  std::vector<double> want(p.dst.size()), want_src(p.src.size());
  for_each_product(nhwc, [&](std::int64_t s, std::int64_t w, std::int64_t d) {
    want[static_cast<std::size_t>(d)] += at(p.src, s) * at(p.weights, w);
    want_src[static_cast<std::size_t>(s)] += at(p.dst, d) * at(p.weights, w);
  });
  std::vector<T> got(want.size()), got_src(want_src.size());
  const std::vector<float> weights = packed({kSrcBlocks, kDstBlocks, false}, p.weights, isa),
                           turned = packed({kDstBlocks, kSrcBlocks, true}, p.weights, isa);
  for (std::int64_t group = 0; group < shape.groups(); ++group) {
    winograd_kernels<T>(isa).convolve(shape, {group, group + 1, 0, kDstBlocks}, p.src.data(), weights.data(), {},
                                      got.data());
  }
  winograd_kernels<T>(isa).convolve(back, {0, back.groups(), 0, kSrcBlocks}, p.dst.data(), turned.data(), {},
                                    got_src.data());
  expect_close(got, want, tolerance);
  expect_close(got_src, want_src, tolerance);
}

/// A bias, an addend and a clip, block by block.
template <class T>
void expect_epilogue(Isa isa, bool nhwc, double tolerance) {
  const WinogradShape shape = shape_of(nhwc), back{kImages, kHeight, kWidth, shape.dst, shape.src};
  const Problem<T> p;
  const std::vector<float> bias = random_values<float>(kSrc, 4),
                           turned = packed({kDstBlocks, kSrcBlocks, true}, p.weights, isa);
  std::vector<double> want;
  for (std::int64_t i = 0; i < kImages * kPixels * kSrc; ++i) {
    const std::int64_t channel = nhwc ? i % kSrc : i / 16 / kPixels * 16 % kSrc + i % 16;
    want.push_back(at(p.src, i) + at(bias, channel));
  }
  for_each_product(nhwc, [&](std::int64_t s, std::int64_t w, std::int64_t d) {
    want[static_cast<std::size_t>(s)] += at(p.dst, d) * at(p.weights, w);
  });
  for (double& value : want) value = std::clamp(value, -1.5, 2.5);
  std::vector<T> got = p.src;
  for (const std::int64_t block : {1, 0, 2}) {
    winograd_kernels<T>(isa).convolve(back, {0, back.groups(), block, block + 1}, p.dst.data(), turned.data(),
                                      {bias.data(), true, -1.5F, 2.5F}, got.data());
  }
  expect_close(got, want, tolerance);
}

template <class T>
void expect_weight_gradient(Isa isa, bool nhwc) {
  const WinogradShape shape = shape_of(nhwc);
  const Problem<T> p;
  std::vector<double> want(p.weights.begin(), p.weights.end());  // the gradient is added to what is there
  for_each_product(nhwc, [&](std::int64_t s, std::int64_t w, std::int64_t d) {
    want[static_cast<std::size_t>(w)] += at(p.src, s) * at(p.dst, d);
  });
  std::vector<float> got = p.weights, sums(static_cast<std::size_t>(2 * shape.part()), 7.0F);
  const auto& kernels = winograd_kernels<T>(isa);
  float* const second = sums.data() + shape.part();
  kernels.weight_gradient(shape, {0, 1, 0, kDstBlocks}, p.src.data(), p.dst.data(), sums.data());
  kernels.weight_gradient(shape, {1, shape.groups(), 1, 2}, p.src.data(), p.dst.data(), second);
  kernels.weight_gradient(shape, {1, shape.groups(), 0, 1}, p.src.data(), p.dst.data(), second);
  for (std::int64_t i = 0; i < kSrcBlocks * kDstBlocks; ++i) {
    winograd_weight_kernels(isa).unpack(shape, i % kSrcBlocks, i / kSrcBlocks, sums.data(), 2, got.data());
  }
  expect_close(got, want, 3e-6);
}

/// Weights of blocks that the mask leaves out count as zeros, and get no gradient.
template <class T>
void expect_masked(Isa isa, double tolerance) {
  WinogradShape shape = shape_of(false), back{kImages, kHeight, kWidth, shape.dst, shape.src};
  shape.mask = BlockMask::none();
  for (const auto& [d, s] : {std::pair(0, 1), std::pair(1, 0), std::pair(1, 2)}) shape.mask.set(d, s);
  back.mask = shape.mask.transposed();
  const Problem<T> p;
  std::vector<double> want(p.dst.size()), want_src(p.src.size()), want_weights(p.weights.size());
  for_each_product(false, [&](std::int64_t s, std::int64_t w, std::int64_t d) {
    if (!shape.mask.has(w / 9 / kSrc / 16, w / 9 % kSrc / 16)) return;
    want[static_cast<std::size_t>(d)] += at(p.src, s) * at(p.weights, w);
    want_src[static_cast<std::size_t>(s)] += at(p.dst, d) * at(p.weights, w);
    want_weights[static_cast<std::size_t>(w)] += at(p.src, s) * at(p.dst, d);
  });
  std::vector<T> got(want.size()), got_src(want_src.size());
  std::vector<float> got_weights(want_weights.size()), sums(static_cast<std::size_t>(shape.part()));
  const auto& kernels = winograd_kernels<T>(isa);
  kernels.convolve(shape, {0, shape.groups(), 0, kDstBlocks}, p.src.data(),
                   packed({kSrcBlocks, kDstBlocks, false}, p.weights, isa).data(), {}, got.data());
  kernels.convolve(back, {0, back.groups(), 0, kSrcBlocks}, p.dst.data(),
                   packed({kDstBlocks, kSrcBlocks, true}, p.weights, isa).data(), {}, got_src.data());
  kernels.weight_gradient(shape, {0, shape.groups(), 0, kDstBlocks}, p.src.data(), p.dst.data(), sums.data());
  for (std::int64_t i = 0; i < kSrcBlocks * kDstBlocks; ++i) {
    winograd_weight_kernels(isa).unpack(shape, i % kSrcBlocks, i / kSrcBlocks, sums.data(), 1, got_weights.data());
  }
  expect_close(got, want, tolerance);
  expect_close(got_src, want_src, tolerance);
  expect_close(got_weights, want_weights, 3e-6);
}

/// The inner part of larger NHWC images, whose rim is read instead of zeros.
void expect_inner_part(Isa isa) {
  constexpr std::int64_t row = (kWidth + 2) * kSrc, image = (kHeight + 2) * row;
  WinogradShape shape = shape_of(true);
  shape.src = {kSrcBlocks, kSrc, row, 16, image, true};
  const std::vector<float> src = random_values<float>(kImages * image, 5),
                           weights = random_values<float>(kDst * kSrc * 9, 6);
  std::vector<float> got(kImages * kPixels * kDst);
  winograd_kernels<float>(isa).convolve(shape, {0, shape.groups(), 0, kDstBlocks}, src.data() + row + kSrc,
                                        packed({kSrcBlocks, kDstBlocks, false}, weights, isa).data(), {}, got.data());
  std::vector<double> want(got.size());
  for (std::int64_t i = 0; i < kImages * kPixels * kDst; ++i) {
    const std::int64_t o = i % kDst, x = i / kDst % kWidth, y = i / kDst / kWidth % kHeight, n = i / kDst / kPixels;
    for (std::int64_t j = 0; j < 9 * kSrc; ++j) {
      const std::int64_t c = j % kSrc, tap = j / kSrc;
      want[static_cast<std::size_t>(i)] +=
          at(src, n * image + (y + tap / 3) * row + (x + tap % 3) * kSrc + c) * at(weights, (o * kSrc + c) * 9 + tap);
    }
  }
  expect_close(got, want, 3e-6);
}

/// Halves of a block that see each other alone have the same bits as with zeros for the other half.
void expect_halves(Isa isa) {
  WinogradShape shape{kImages, kHeight, kWidth, channels(1, true), channels(1, true)};
  const std::vector<float> src = random_values<float>(kImages * kPixels * 16, 7);
  std::vector<float> weights = random_values<float>(16 * 16 * 9, 8), whole(src.size()), halves(src.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (i / 9 % 16 / 8 != i / 9 / 16 / 8) weights[i] = 0;
  }
  const std::vector<float> own = packed({1, 1, false}, weights, isa);
  winograd_kernels<float>(isa).convolve(shape, {0, shape.groups(), 0, 1}, src.data(), own.data(), {}, whole.data());
  shape.halves = true;
  winograd_kernels<float>(isa).convolve(shape, {0, shape.groups(), 0, 1}, src.data(), own.data(), {}, halves.data());
  EXPECT_EQ(halves, whole);
}

class WinogradBuilds : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > cpu_isa()) GTEST_SKIP() << "this processor cannot run the build";
  }
};

TEST_P(WinogradBuilds, Masked) {
  expect_masked<float>(GetParam(), 3e-6);
  expect_masked<BFloat16>(GetParam(), 1.0 / 256);
}

TEST_P(WinogradBuilds, Convolution) {
  for (const bool nhwc : {false, true}) {
    expect_convolution<float>(GetParam(), nhwc, 3e-6);
    expect_convolution<BFloat16>(GetParam(), nhwc, 1.0 / 256);
  }
}

TEST_P(WinogradBuilds, InnerPartOfImages) {
  expect_inner_part(GetParam());
}

TEST_P(WinogradBuilds, Halves) {
  expect_halves(GetParam());
}

TEST_P(WinogradBuilds, Epilogue) {
  for (const bool nhwc : {false, true}) {
    expect_epilogue<float>(GetParam(), nhwc, 2e-5);  // of what the clip leaves
    expect_epilogue<BFloat16>(GetParam(), nhwc, 1.0 / 256);
  }
}

TEST_P(WinogradBuilds, WeightGradient) {
  for (const bool nhwc : {false, true}) {
    expect_weight_gradient<float>(GetParam(), nhwc);
    expect_weight_gradient<BFloat16>(GetParam(), nhwc);
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, WinogradBuilds, ::testing::Values(Isa::kPortable, Isa::kAvx2, Isa::kAvx512),
                         [](const auto& isa) { return to_string(isa.param); });

}  // namespace
}  // namespace sluice
