// The kernels of gates in every build that this processor runs, against loops in double.
#include "gating/kernels/gate_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double surrogate(double q, Surrogate s) {
  if (s.sparse && q < 0) return 0;
  const double e = std::exp(-std::abs(static_cast<double>(s.alpha) * q));
  return static_cast<double>(s.alpha) * e / ((1 + e) * (1 + e));
}

/// Operands of one group; values of other channels lie between the rows.
template <class T>
struct Operands {
  explicit Operands(ChannelGroup g)
      : group(g),
        base(g, 11),
        conditional(g, 12),
        dst(g, 13),
        diff(g, 14),
        diff_base(g, 15),
        diff_conditional(g, 16),
        limit(random_floats(g.lanes, 17)),
        slope(random_floats(g.lanes, 18)),
        mean(random_floats(g.lanes, 19)),
        score(random_floats(g.rows, 20)),
        gradient(random_floats(g.rows, 21)) {
    base.set(0, 0, limit[0]);  // a tie, where bf16 holds the limit
  }

  GateConstants constants() const { return {limit.data(), slope.data()}; }
  GateForward<T> forward() { return {base.data(), conditional.data(), dst.data(), group.stride}; }
  GateBackward<T> backward(bool with_mean = true) {
    return {base.data(),
            conditional.data(),
            diff.data(),
            group.stride,
            diff_base.data(),
            diff_conditional.data(),
            with_mean ? mean.data() : nullptr};
  }
  double q(std::int64_t r, int lane) const { return (base.at(r, lane) - limit[lane]) * slope[lane]; }
  bool open(std::int64_t r, int lane) const { return base.at(r, lane) > limit[lane]; }

  ChannelGroup group;
  GroupValues<T> base, conditional, dst, diff, diff_base, diff_conditional;
  Floats limit, slope, mean, score, gradient;
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
  all.push_back({256, 32, 16});
  return all;
}

std::string text(ChannelGroup g) {
  return concat(g.lanes, " lanes, ", g.rows, " rows, stride ", g.stride);
}

/// Sums by channel that kernels add to, each from another start; lanes behind the group's stay as they are.
class Sums {
 public:
  explicit Sums(double start) : start_(start), values_(16, start) {}
  double* data() { return values_.data(); }

  template <class Term>
  void expect(ChannelGroup g, const char* what, Term&& term) const {
    for (int lane = 0; lane < 16; ++lane) {
      double sum = start_, size = 1;
      for (std::int64_t r = 0; lane < g.lanes && r < g.rows; ++r) {
        sum += term(r, lane);
        size += std::abs(term(r, lane));
      }
      ASSERT_NEAR(values_[static_cast<std::size_t>(lane)], sum, 1e-6 * size) << what << " of lane " << lane;
    }
  }

 private:
  double start_;
  std::vector<double> values_;
};

/// Runs `check` on every group in both types.
template <class Check>
void for_groups(Check&& check) {
  for (const ChannelGroup g : groups()) {
    SCOPED_TRACE(text(g));
    check(g, float{});
    check(g, BFloat16{});
    if (::testing::Test::HasFatalFailure()) return;
  }
}

class GateKernelTest : public KernelTest {};

TEST_P(GateKernelTest, DecideByElement) {
  for_groups([](ChannelGroup g, auto type) {
    using T = decltype(type);
    Operands<T> o(g);
    std::int64_t expected = 0;
    for (std::int64_t r = 0; r < g.rows; ++r) {
      for (int lane = 0; lane < g.lanes; ++lane) expected += o.open(r, lane) ? 1 : 0;
    }
    ASSERT_EQ(gate_kernels<T>(GetParam()).forward(g, o.constants(), o.forward()), expected);
    ASSERT_TRUE(o.dst.holds([&](std::int64_t r, int lane) {
      return o.base.at(r, lane) + (o.open(r, lane) ? o.conditional.at(r, lane) : 0);
    }));
  });
}

TEST_P(GateKernelTest, GradientsByElement) {
  for (const bool sparse : {false, true}) {
    const Surrogate rule{2.5F, sparse};
    for_groups([&](ChannelGroup g, auto type) {
      using T = decltype(type);
      Operands<T> o(g);
      Sums sum(3), dot(4);
      gate_kernels<T>(GetParam()).backward(g, o.constants(), rule, o.backward(), sum.data(), dot.data());
      const auto u = [&](std::int64_t r, int lane) {
        return o.diff.at(r, lane) * o.conditional.at(r, lane) * surrogate(o.q(r, lane), rule);
      };
      sum.expect(g, "sum", u);
      dot.expect(g, "dot", [&](std::int64_t r, int lane) { return u(r, lane) * (o.base.at(r, lane) - o.mean[lane]); });
      ASSERT_TRUE(
          o.diff_base.holds([&](std::int64_t r, int lane) { return o.diff.at(r, lane) + o.slope[lane] * u(r, lane); }));
      ASSERT_TRUE(o.diff_conditional.holds(
          [&](std::int64_t r, int lane) { return o.open(r, lane) ? o.diff.at(r, lane) : 0.0; }));
    });
  }
}

/// What a kernel adds to one number a pixel, or puts there.
template <class Run, class Term>
void expect_pixel_sums(ChannelGroup g, Run&& run, Term&& term) {
  for (const bool add : {false, true}) {
    std::vector<float> got(static_cast<std::size_t>(g.rows), 5.0F);
    run(got.data(), add);
    for (std::int64_t r = 0; r < g.rows; ++r) {
      double sum = add ? 5 : 0, size = 1;
      for (int lane = 0; lane < g.lanes; ++lane) {
        sum += term(r, lane);
        size += std::abs(term(r, lane));
      }
      ASSERT_NEAR(static_cast<double>(got[static_cast<std::size_t>(r)]), sum, 2e-6 * size) << "row " << r;
    }
  }
}

TEST_P(GateKernelTest, ScoresOfPixels) {
  for_groups([](ChannelGroup g, auto type) {
    using T = decltype(type);
    Operands<T> o(g);
    expect_pixel_sums(
        g,
        [&](float* score, bool add) { gate_kernels<T>(GetParam()).score(g, o.constants(), o.base.data(), score, add); },
        [&](std::int64_t r, int lane) { return o.q(r, lane); });
  });
}

TEST_P(GateKernelTest, GradientsOfPixels) {
  for_groups([](ChannelGroup g, auto type) {
    using T = decltype(type);
    Operands<T> o(g);
    expect_pixel_sums(
        g, [&](float* gradient, bool add) { gate_kernels<T>(GetParam()).gradient(g, o.backward(), gradient, add); },
        [&](std::int64_t r, int lane) { return o.diff.at(r, lane) * o.conditional.at(r, lane); });
  });
}

TEST_P(GateKernelTest, DecideByScore) {
  for_groups([](ChannelGroup g, auto type) {
    using T = decltype(type);
    Operands<T> o(g);
    std::vector<float> score(o.score.data(), o.score.data() + g.rows);
    score[0] = 0;  // a tie is closed
    const auto open = [&](std::int64_t r) { return score[static_cast<std::size_t>(r)] > 0; };
    std::int64_t expected = 0;
    for (std::int64_t r = 0; r < g.rows; ++r) expected += open(r) ? g.lanes : 0;
    ASSERT_EQ(gate_kernels<T>(GetParam()).forward_scored(g, score.data(), o.forward()), expected);
    ASSERT_TRUE(o.dst.holds(
        [&](std::int64_t r, int lane) { return o.base.at(r, lane) + (open(r) ? o.conditional.at(r, lane) : 0); }));
  });
}

TEST_P(GateKernelTest, GradientsByScore) {
  constexpr std::int64_t kWidth = 20;  // the slice has more channels than this group
  for (const bool sparse : {false, true}) {
    const Surrogate rule{30, sparse};
    for_groups([&](ChannelGroup g, auto type) {
      using T = decltype(type);
      Operands<T> o(g);
      Sums sum(-1), dot(2);
      gate_kernels<T>(GetParam())
          .backward_scored(g, o.constants(), rule, kWidth, o.score.data(), o.gradient.data(), o.backward(), sum.data(),
                           dot.data());
      const auto score = [&](std::int64_t r) { return o.score[static_cast<int>(r)]; };
      const auto u = [&](std::int64_t r, int) {
        return o.gradient[static_cast<int>(r)] * surrogate(score(r) / kWidth, rule) / kWidth;
      };
      sum.expect(g, "sum", u);
      dot.expect(g, "dot", [&](std::int64_t r, int lane) { return u(r, lane) * (o.base.at(r, lane) - o.mean[lane]); });
      ASSERT_TRUE(
          o.diff_base.holds([&](std::int64_t r, int lane) { return o.diff.at(r, lane) + o.slope[lane] * u(r, lane); }));
      ASSERT_TRUE(
          o.diff_conditional.holds([&](std::int64_t r, int lane) { return score(r) > 0 ? o.diff.at(r, lane) : 0.0; }));
    });
  }
}

TEST_P(GateKernelTest, WithoutAMeanThereIsNoSecondSum) {
  const ChannelGroup g{7, 16, 16};
  Operands<float> o(g);
  Sums sum(0), dot(9), scored_sum(0), scored_dot(8);
  const GateKernels<float>& kernels = gate_kernels<float>(GetParam());
  kernels.backward(g, o.constants(), {1, false}, o.backward(false), sum.data(), dot.data());
  kernels.backward_scored(g, o.constants(), {1, false}, 16, o.score.data(), o.gradient.data(), o.backward(false),
                          scored_sum.data(), scored_dot.data());
  for (int lane = 0; lane < 16; ++lane) {
    EXPECT_EQ(dot.data()[lane], 9);
    EXPECT_EQ(scored_dot.data()[lane], 8);
    EXPECT_NE(sum.data()[lane], 0);
    EXPECT_NE(scored_sum.data()[lane], 0);
  }
}

TEST_P(GateKernelTest, SubtractWhatANormalisationTakes) {
  for_groups([](ChannelGroup g, auto type) {
    using T = decltype(type);
    Operands<T> o(g);
    const GroupValues<T> before = o.diff_base;
    const Floats b = random_floats(g.lanes, 31), c = random_floats(g.lanes, 32);
    GateCorrection correction;
    correction.mean = o.mean.data();
    correction.b = b.data();
    correction.c = c.data();
    gate_kernels<T>(GetParam()).correct(g, correction, o.backward(false));
    ASSERT_TRUE(o.diff_base.holds([&](std::int64_t r, int lane) {
      return before.at(r, lane) - b[lane] - c[lane] * (o.base.at(r, lane) - o.mean[lane]);
    }));
  });
}

// u of one row with g = R = alpha = slope = 1: s (1 - s) itself, over all that fp32 can tell from 0.
TEST_P(GateKernelTest, SurrogateSlopeIsTheSigmoids) {
  const std::vector<float> zeros(16, 0.0F), ones(16, 1.0F);
  std::vector<float> scratch(32);
  for (const bool sparse : {false, true}) {
    for (double z = -120; z <= 120; z += 0.37) {
      const std::vector<float> base(16, static_cast<float>(z));
      std::vector<double> sum(16, 0.0), dot(16, 0.0);
      const GateBackward<float> operands{base.data(),    ones.data(),  ones.data(), 16,
                                         scratch.data(), &scratch[16], nullptr};
      gate_kernels<float>(GetParam())
          .backward({1, 16, 16}, {zeros.data(), ones.data()}, {1, sparse}, operands, sum.data(), dot.data());
      const double expected = surrogate(static_cast<double>(base[0]), {1, sparse});
      for (const double value : sum) ASSERT_NEAR(value, expected, 5e-7 * expected + 2e-38) << "z = " << z;
    }
  }
}

TEST_P(GateKernelTest, NaNIsClosedAndGoesThrough) {
  for (const int lanes : {16, 5}) {
    const ChannelGroup g{3, lanes, lanes};
    Operands<float> o(g);
    o.base.set(1, 2, kNaN);
    for (std::int64_t r = 0; r < g.rows; ++r) {  // a NaN in what is closed harms nobody
      for (int lane = 0; lane < lanes; ++lane) {
        if (!o.open(r, lane)) o.conditional.set(r, lane, kNaN);
      }
    }
    gate_kernels<float>(GetParam()).forward(g, o.constants(), o.forward());
    for (std::int64_t r = 0; r < g.rows; ++r) {
      for (int lane = 0; lane < lanes; ++lane)
        ASSERT_EQ(std::isnan(o.dst.at(r, lane)), r == 1 && lane == 2) << "row " << r << ", lane " << lane;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, GateKernelTest, all_isas(), isa_name);

}  // namespace
}  // namespace sluice
