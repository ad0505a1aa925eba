// The kernels of batch normalisation in every build that this processor runs, against loops in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "layers/kernels/kernels.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr Clip kBounds{-0.4F, 0.9F};
constexpr Clip kRelu{0, std::numeric_limits<float>::infinity()};

double clipped(double v, Clip clip) {
  return std::min(std::max(v, static_cast<double>(clip.low)), static_cast<double>(clip.high));
}

bool is_open(double v, Clip clip) {
  return v > static_cast<double>(clip.low) && v < static_cast<double>(clip.high);
}

/// Operands of one group: activations as the kernels see them, with values of other channels between the rows.
template <class T>
struct Operands {
  Operands(ChannelGroup g, std::uint64_t seed)
      : group(g),
        x(g, seed),
        addend(g, seed + 1),
        dst(g, seed + 2),
        diff(g, seed + 3),
        diff2(g, seed + 4),
        scale(random_floats(g.lanes, seed + 5)),
        shift(random_floats(g.lanes, seed + 6)),
        mean(random_floats(g.lanes, seed + 7)) {}

  /// The affine result of an element.
  double v(std::int64_t row, int lane) const { return x.at(row, lane) * scale[lane] + shift[lane]; }

  NormGradient<T> gradient(bool two, Clip clip) {
    NormGradient<T> in;
    in.src = x.data();
    in.dst = dst.data();
    in.diff_dst = diff.data();
    in.diff_dst2 = two ? diff2.data() : nullptr;
    in.scale = scale.data();
    in.shift = shift.data();
    in.mean = mean.data();
    in.clip = clip;
    return in;
  }
  /// diff_dst + diff_dst2, and the same where the clip was open.
  double diff_at(bool two, std::int64_t row, int lane) const {
    return diff.at(row, lane) + (two ? diff2.at(row, lane) : 0);
  }
  double kept_at(GradientMask mask, bool two, Clip clip, std::int64_t row, int lane) const {
    if (mask == GradientMask::kFromSrc && !is_open(v(row, lane), clip)) return 0;
    if (mask == GradientMask::kFromDst && !is_open(dst.at(row, lane), clip)) return 0;
    return diff_at(two, row, lane);
  }

  ChannelGroup group;
  GroupValues<T> x, addend, dst, diff, diff2;
  Floats scale, shift, mean;
};

/// Every number of lanes with short, odd and chunk-crossing numbers of rows, close together and apart.
std::vector<ChannelGroup> groups() {
  std::vector<ChannelGroup> all;
  for (int lanes = 1; lanes <= 16; ++lanes) {
    all.push_back({7, lanes, lanes});
    all.push_back({1, 16, lanes});
    if (lanes % 5 == 1) all.push_back({258, lanes + 3, lanes});
  }
  all.push_back({513, 48, 16});
  all.push_back({256, 16, 16});
  return all;
}

std::string text(ChannelGroup g) {
  return concat(g.lanes, " lanes, ", g.rows, " rows, stride ", g.stride);
}

class NormKernelTest : public KernelTest {};

template <class T>
void check_statistics(Isa isa) {
  for (const ChannelGroup g : groups()) {
    SCOPED_TRACE(text(g));
    const Operands<T> o(g, 11);
    std::vector<double> sum(16, 5), square(16, 7);  // the kernel adds
    norm_kernels<T>(isa).statistics(g, o.x.data(), o.mean.data(), sum.data(), square.data());
    for (int lane = 0; lane < 16; ++lane) {
      double s = 5, q = 7;
      for (std::int64_t r = 0; lane < g.lanes && r < g.rows; ++r) {
        const double d = o.x.at(r, lane) - o.mean[lane];
        s += d;
        q += d * d;
      }
      ASSERT_NEAR(sum[static_cast<std::size_t>(lane)], s, 1e-6 * q) << "sum of lane " << lane;
      ASSERT_NEAR(square[static_cast<std::size_t>(lane)], q, 1e-6 * q) << "squares of lane " << lane;
    }
  }
}

TEST_P(NormKernelTest, Statistics) {
  check_statistics<float>(GetParam());
  check_statistics<BFloat16>(GetParam());
}

double ended(Ending ending, double v, double addend, Clip clip) {
  switch (ending) {
    case Ending::kNone:
      return v;
    case Ending::kClip:
      return clipped(v, clip);
    case Ending::kAdd:
      return v + addend;
    case Ending::kAddClip:
      return clipped(v + addend, clip);
    case Ending::kClipAdd:
      return clipped(v, clip) + addend;
  }
  return 0;
}

constexpr Ending kEndings[] = {Ending::kNone, Ending::kClip, Ending::kAdd, Ending::kAddClip, Ending::kClipAdd};

template <class T>
void check_forward(Isa isa) {
  for (const ChannelGroup g : groups()) {
    for (const Ending ending : kEndings) {
      for (const Clip clip : {kBounds, kRelu}) {
        SCOPED_TRACE(concat(text(g), ", ending ", static_cast<int>(ending)));
        Operands<T> o(g, 21);
        norm_kernels<T>(isa).forward(g, ending, o.x.data(), o.addend.data(), o.dst.data(), o.scale.data(),
                                     o.shift.data(), clip);
        ASSERT_TRUE(o.dst.holds(
            [&](std::int64_t r, int lane) { return ended(ending, o.v(r, lane), o.addend.at(r, lane), clip); }));
      }
    }
  }
}

TEST_P(NormKernelTest, Forward) {
  check_forward<float>(GetParam());
  check_forward<BFloat16>(GetParam());
}

template <class T>
void check_nan_forward(Isa isa) {
  for (const int lanes : {16, 5}) {
    for (const Ending ending : kEndings) {
      SCOPED_TRACE(concat(lanes, " lanes, ending ", static_cast<int>(ending)));
      const ChannelGroup g{3, lanes, lanes};
      Operands<T> o(g, 31);
      o.x.set(1, 2, std::numeric_limits<double>::quiet_NaN());
      norm_kernels<T>(isa).forward(g, ending, o.x.data(), o.addend.data(), o.dst.data(), o.scale.data(), o.shift.data(),
                                   kRelu);
      for (std::int64_t r = 0; r < g.rows; ++r) {
        for (int lane = 0; lane < lanes; ++lane)
          ASSERT_EQ(std::isnan(o.dst.at(r, lane)), r == 1 && lane == 2) << "row " << r << ", lane " << lane;
      }
    }
  }
}

TEST_P(NormKernelTest, NaNGoesThroughForward) {
  check_nan_forward<float>(GetParam());
  check_nan_forward<BFloat16>(GetParam());
}

constexpr GradientMask kMasks[] = {GradientMask::kNone, GradientMask::kFromSrc, GradientMask::kFromDst};

template <class T>
void check_reduce(Isa isa, ChannelGroup g, GradientMask mask, bool two, bool with_addend) {
  Operands<T> o(g, 41);
  GroupValues<T> diff_addend(g, 42);
  const NormGradient<T> in = o.gradient(two, kBounds);
  std::vector<double> sum(16, 3), dot(16, 4);
  norm_kernels<T>(isa).backward_reduce(g, mask, in, with_addend ? diff_addend.data() : nullptr, sum.data(), dot.data());
  for (int lane = 0; lane < 16; ++lane) {
    double s = 3, d = 4, size = 1;
    for (std::int64_t r = 0; lane < g.lanes && r < g.rows; ++r) {
      const double kept = o.kept_at(mask, two, kBounds, r, lane);
      s += kept;
      d += kept * (o.x.at(r, lane) - o.mean[lane]);
      size += std::abs(kept) * (1 + std::abs(o.x.at(r, lane) - o.mean[lane]));
    }
    ASSERT_NEAR(sum[static_cast<std::size_t>(lane)], s, 1e-6 * size) << "sum of lane " << lane;
    ASSERT_NEAR(dot[static_cast<std::size_t>(lane)], d, 1e-6 * size) << "dot of lane " << lane;
  }
  if (!with_addend) return;
  ASSERT_TRUE(diff_addend.holds([&](std::int64_t r, int lane) {
    return mask == GradientMask::kFromDst ? o.kept_at(mask, two, kBounds, r, lane) : o.diff_at(two, r, lane);
  }));
}

template <class T>
void check_apply(Isa isa, ChannelGroup g, GradientMask mask, bool two) {
  Operands<T> o(g, 51);
  GroupValues<T> diff_src(g, 52);
  const Floats a = random_floats(g.lanes, 53), b = random_floats(g.lanes, 54), c = random_floats(g.lanes, 55);
  norm_kernels<T>(isa).backward_apply(g, mask, o.gradient(two, kBounds), a.data(), b.data(), c.data(), diff_src.data());
  ASSERT_TRUE(diff_src.holds([&](std::int64_t r, int lane) {
    return a[lane] * o.kept_at(mask, two, kBounds, r, lane) - b[lane] - c[lane] * (o.x.at(r, lane) - o.mean[lane]);
  }));
}

template <class T>
void check_backward(Isa isa) {
  for (const ChannelGroup g : groups()) {
    for (const GradientMask mask : kMasks) {
      for (const bool two : {false, true}) {
        SCOPED_TRACE(concat(text(g), ", mask ", static_cast<int>(mask), two ? ", two gradients" : ", one gradient"));
        check_reduce<T>(isa, g, mask, two, false);
        check_reduce<T>(isa, g, mask, two, true);
        check_apply<T>(isa, g, mask, two);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(NormKernelTest, Backward) {
  check_backward<float>(GetParam());
  check_backward<BFloat16>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Isa, NormKernelTest, all_isas(), isa_name);

}  // namespace
}  // namespace sluice
