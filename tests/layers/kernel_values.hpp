// Operands for tests of vector kernels: values between guards, read back in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <vector>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"
#include "core/base/random.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

/// Tests that run once for each build of the kernels that this processor can run.
class KernelTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > cpu_isa()) GTEST_SKIP() << "this processor has no " << to_string(GetParam());
  }
};
inline void PrintTo(Isa isa, std::ostream* out) {
  *out << to_string(isa);
}
inline auto all_isas() {
  return ::testing::Values(Isa::kPortable, Isa::kAvx2, Isa::kAvx512);
}
inline constexpr auto isa_name = [](const auto& info) { return to_string(info.param); };

inline double value_of(float x) {
  return static_cast<double>(x);
}
inline double value_of(BFloat16 x) {
  return static_cast<double>(widen(x));
}

/// Floats whose subscript is a double.
class Floats {
 public:
  explicit Floats(std::vector<float> values) : values_(std::move(values)) {}
  const float* data() const { return values_.data(); }
  double operator[](int i) const { return value_of(values_[static_cast<std::size_t>(i)]); }

 private:
  std::vector<float> values_;
};

/// `count` random numbers, and nothing behind them that a kernel could read unseen.
inline Floats random_floats(std::int64_t count, std::uint64_t seed) {
  Random random(seed, Purpose::kTest);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.normal()));
  values.shrink_to_fit();
  return Floats(std::move(values));
}

/// Unit in the last place of a result, as a share of its size: of the type, and of the arithmetic in fp32.
template <class T>
constexpr double kRounding = sizeof(T) == 2 ? 1.0 / 256 : 1e-6;

/// The activations of a channel group, in the middle of others: what lies between and behind must stay as it is.
template <class T>
class GroupValues {
 public:
  GroupValues(ChannelGroup group, std::uint64_t seed) : group_(group) {
    Random random(seed, Purpose::kTest);
    values_.resize(static_cast<std::size_t>(group.rows * group.stride + 16));
    for (T& value : values_) narrow(static_cast<float>(random.normal()), value);
    before_ = values_;
  }

  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  double at(std::int64_t row, int lane) const { return value_of(values_[index(row, lane)]); }
  void set(std::int64_t row, int lane, double value) { narrow(static_cast<float>(value), values_[index(row, lane)]); }

  /// Every element of the group is want(row, lane) but for rounding; all others are what they were.
  template <class Want>
  ::testing::AssertionResult holds(Want&& want) const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / group_.stride;
      const int lane = static_cast<int>(static_cast<std::int64_t>(i) % group_.stride);
      const double got = value_of(values_[i]);
      if (row >= group_.rows || lane >= group_.lanes) {
        if (got == value_of(before_[i])) continue;
        return ::testing::AssertionFailure() << "wrote outside of the group, at element " << i;
      }
      const double expected = want(row, lane);
      if (std::abs(got - expected) <= kRounding<T> * (1 + std::abs(expected))) continue;
      return ::testing::AssertionFailure()
             << "row " << row << ", lane " << lane << ": got " << got << ", expected " << expected;
    }
    return ::testing::AssertionSuccess();
  }

 private:
  std::size_t index(std::int64_t row, int lane) const { return static_cast<std::size_t>(row * group_.stride + lane); }

  ChannelGroup group_;
  std::vector<T> values_, before_;
};

}  // namespace sluice
