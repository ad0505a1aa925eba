// Kernels over flat arrays (add, clip, the learned clip) in every build that this processor runs, against loops in
// double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "layers/kernels/kernels.hpp"
#include "layers/kernels/pact_kernels.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Clip kBounds{-0.5F, 0.75F};  // both types hold them exactly

class PointwiseKernelTest : public KernelTest {};

/// A flat array is a group of one channel.
ChannelGroup flat(std::int64_t n) {
  return {n, 1, 1};
}

/// Short ones, all remainders of 16, and more than one vector.
std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> all;
  for (std::int64_t n = 1; n <= 49; ++n) all.push_back(n);
  all.push_back(1000);
  return all;
}

/// Values with some on each bound, at zero and beyond.
template <class T>
GroupValues<T> with_special_values(std::int64_t n, std::uint64_t seed) {
  GroupValues<T> values(flat(n), seed);
  const double special[] = {
      -0.5, 0.75, 0.0, -0.0, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (std::int64_t i = 0; i < n; i += 3) values.set(i, 0, special[i / 3 % 6]);
  return values;
}

template <class T>
void check_add(Isa isa) {
  for (const std::int64_t n : lengths()) {
    SCOPED_TRACE(n);
    const GroupValues<T> a(flat(n), 1), b(flat(n), 2);
    GroupValues<T> dst(flat(n), 3);
    pointwise_kernels<T>(isa).add(n, a.data(), b.data(), dst.data());
    ASSERT_TRUE(dst.holds([&](std::int64_t i, int) { return a.at(i, 0) + b.at(i, 0); }));
  }
}

TEST_P(PointwiseKernelTest, Add) {
  check_add<float>(GetParam());
  check_add<BFloat16>(GetParam());
}

template <class T>
void check_clip(Isa isa) {
  const double low = value_of(kBounds.low), high = value_of(kBounds.high);
  for (const std::int64_t n : lengths()) {
    SCOPED_TRACE(n);
    const GroupValues<T> x = with_special_values<T>(n, 4), diff(flat(n), 5);
    GroupValues<T> dst(flat(n), 6), diff_src(flat(n), 7);
    pointwise_kernels<T>(isa).clip(n, x.data(), dst.data(), kBounds);
    ASSERT_TRUE(dst.holds([&](std::int64_t i, int) { return std::min(std::max(x.at(i, 0), low), high); }));
    pointwise_kernels<T>(isa).clip_backward(n, x.data(), diff.data(), diff_src.data(), kBounds);
    ASSERT_TRUE(diff_src.holds(
        [&](std::int64_t i, int) { return x.at(i, 0) > low && x.at(i, 0) < high ? diff.at(i, 0) : 0.0; }));
  }
}

TEST_P(PointwiseKernelTest, Clip) {
  check_clip<float>(GetParam());
  check_clip<BFloat16>(GetParam());
}

/// NaN only where it was put.
template <class T>
::testing::AssertionResult nan_only_at(const GroupValues<T>& values, std::int64_t n, std::int64_t place) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (std::isnan(values.at(i, 0)) != (i == place))
      return ::testing::AssertionFailure() << "element " << i << " is " << values.at(i, 0);
  }
  return ::testing::AssertionSuccess();
}

template <class T>
void check_nan(Isa isa) {
  const Clip relu{0, std::numeric_limits<float>::infinity()};
  for (const std::int64_t n : {5, 16, 37}) {
    const std::int64_t place = n - 2;
    SCOPED_TRACE(n);
    GroupValues<T> x(flat(n), 8), dst(flat(n), 9);
    x.set(place, 0, kNaN);
    for (const Clip clip : {kBounds, relu}) {
      pointwise_kernels<T>(isa).clip(n, x.data(), dst.data(), clip);
      ASSERT_TRUE(nan_only_at(dst, n, place));
    }
    pact_kernels<T>(isa).forward(n, x.data(), dst.data(), 1.0F);
    ASSERT_TRUE(nan_only_at(dst, n, place));
    const GroupValues<T> finite(flat(n), 10);
    pointwise_kernels<T>(isa).add(n, x.data(), finite.data(), dst.data());
    ASSERT_TRUE(nan_only_at(dst, n, place));
    pointwise_kernels<T>(isa).clip_backward(n, finite.data(), x.data(), dst.data(), {-1e30F, 1e30F});
    ASSERT_TRUE(nan_only_at(dst, n, place));
  }
}

TEST_P(PointwiseKernelTest, NaNGoesThrough) {
  check_nan<float>(GetParam());
  check_nan<BFloat16>(GetParam());
}

template <class T>
void check_pact(Isa isa) {
  const double bound = 0.75;
  for (const std::int64_t n : lengths()) {
    SCOPED_TRACE(n);
    const GroupValues<T> x = with_special_values<T>(n, 11), diff(flat(n), 12);
    GroupValues<T> dst(flat(n), 13), diff_src(flat(n), 14);
    pact_kernels<T>(isa).forward(n, x.data(), dst.data(), 0.75F);
    ASSERT_TRUE(dst.holds([&](std::int64_t i, int) { return std::min(std::max(x.at(i, 0), 0.0), bound); }));
    double sum = 0, size = 1;
    for (std::int64_t i = 0; i < n; ++i) {
      sum += x.at(i, 0) > bound ? diff.at(i, 0) : 0;
      size += std::abs(diff.at(i, 0));
    }
    ASSERT_NEAR(pact_kernels<T>(isa).backward(n, x.data(), diff.data(), diff_src.data(), 0.75F), sum, 1e-6 * size);
    ASSERT_NEAR(pact_kernels<T>(isa).backward(n, x.data(), diff.data(), nullptr, 0.75F), sum, 1e-6 * size);
    ASSERT_TRUE(diff_src.holds(
        [&](std::int64_t i, int) { return x.at(i, 0) >= 0 && x.at(i, 0) <= bound ? diff.at(i, 0) : 0.0; }));
  }
}

TEST_P(PointwiseKernelTest, LearnedClip) {
  check_pact<float>(GetParam());
  check_pact<BFloat16>(GetParam());
}

/// bf16 stores round to nearest, ties to even, the same in every build.
TEST_P(PointwiseKernelTest, RoundsLikeTheScalarCode) {
  for (const std::int64_t n : {3, 16, 64}) {
    GroupValues<BFloat16> a(flat(n), 15), b(flat(n), 16), dst(flat(n), 17);
    for (std::int64_t i = 0; i < n; ++i) {  // ties: 1 + k / 128 plus half a unit
      a.set(i, 0, 1 + static_cast<double>(i) / 128);
      b.set(i, 0, 1.0 / 256);
    }
    pointwise_kernels<BFloat16>(GetParam()).add(n, a.data(), b.data(), dst.data());
    for (std::int64_t i = 0; i < n; ++i) {
      BFloat16 want{};
      narrow(static_cast<float>(a.at(i, 0) + b.at(i, 0)), want);
      ASSERT_EQ(dst.data()[i].bits, want.bits) << i;
      ASSERT_EQ(want.bits & 1, 0) << "not a tie";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, PointwiseKernelTest, all_isas(), isa_name);

}  // namespace
}  // namespace sluice
