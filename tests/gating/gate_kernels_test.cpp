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

/// Operands of one group, with two normalisations or without; values of other channels lie between the rows.
template <class T>
struct Operands {
  explicit Operands(ChannelGroup g, bool with_norms = false)
      : group(g),
        two_norms(with_norms),
        base(g, 11),
        conditional(g, 12),
        dst(g, 13),
        diff(g, 14),
        diff_base(g, 15),
        diff_conditional(g, 16),
        limit(random_floats(g.lanes, 17)),
        slope(random_floats(g.lanes, 18)),
        mean(random_floats(g.lanes, 19)),
        full_scale(random_floats(g.lanes, 22)),
        full_shift(random_floats(g.lanes, 23)),
        base_scale(random_floats(g.lanes, 24)),
        base_shift(random_floats(g.lanes, 25)),
        full_mean(random_floats(g.lanes, 26)),
        score(random_floats(g.rows, 20)),
        gradient(random_floats(g.rows, 21)),
        norms{full_scale.data(), full_shift.data(), base_scale.data(), base_shift.data(), full_mean.data()} {
    base.set(0, 0, limit[0]);  // a tie, where bf16 holds the limit
  }

  GateConstants constants() const { return {limit.data(), slope.data()}; }
  GateForward<T> forward() {
    return {base.data(), conditional.data(), dst.data(), group.stride, two_norms ? &norms : nullptr};
  }
  GateBackward<T> backward() {
    GateBackward<T> b;
    b.base = base.data();
    b.conditional = conditional.data();
    b.diff_dst = diff.data();
    b.dst_stride = group.stride;
    b.diff_base = diff_base.data();
    b.diff_conditional = diff_conditional.data();
    b.mean = mean.data();
    if (two_norms) b.norms = &norms;
    return b;
  }
  double q(std::int64_t r, int lane) const { return (base.at(r, lane) - limit[lane]) * slope[lane]; }
  bool open(std::int64_t r, int lane) const { return base.at(r, lane) > limit[lane]; }
  double sum(std::int64_t r, int lane) const { return base.at(r, lane) + conditional.at(r, lane); }
  /// The result of an open gate, and of a closed one.
  double opened(std::int64_t r, int lane) const {
    return two_norms ? sum(r, lane) * full_scale[lane] + full_shift[lane] : sum(r, lane);
  }
  double closed(std::int64_t r, int lane) const {
    return two_norms ? base.at(r, lane) * base_scale[lane] + base_shift[lane] : base.at(r, lane);
  }
  double difference(std::int64_t r, int lane) const { return opened(r, lane) - closed(r, lane); }

  ChannelGroup group;
  bool two_norms;
  GroupValues<T> base, conditional, dst, diff, diff_base, diff_conditional;
  Floats limit, slope, mean, full_scale, full_shift, base_scale, base_shift, full_mean, score, gradient;
  NormPair norms;
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

/// Sums by channel that kernels add to, from a start; those of lanes behind the group's stay as they are.
class Sums {
 public:
  explicit Sums(double start) : start_(start), values_(16, start) {}
  Sums(double start, const double* values) : start_(start), values_(values, values + 16) {}
  double* data() { return values_.data(); }

  template <class Term>
  void expect(ChannelGroup g, const char* what, Term&& term) const {
    for (int lane = 0; lane < 16; ++lane) {
      double sum = start_, size = 1;
      for (std::int64_t r = 0; lane < g.lanes && r < g.rows; ++r) {
        sum += term(r, lane);
        size += std::abs(term(r, lane));
      }
      ASSERT_NEAR(values_[static_cast<std::size_t>(lane)], sum, 5e-6 * size) << what << " of lane " << lane;
    }
  }

 private:
  double start_;
  std::vector<double> values_;
};

/// Runs `check` on every group in both types, with two normalisations and without.
template <class Check>
void for_operands(Check&& check) {
  for (const ChannelGroup g : groups()) {
    for (const bool two_norms : {false, true}) {
      SCOPED_TRACE(concat(text(g), two_norms ? ", two norms" : ""));
      Operands<float> whole(g, two_norms);
      Operands<BFloat16> half(g, two_norms);
      check(whole, gate_kernels<float>);
      check(half, gate_kernels<BFloat16>);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

class GateKernelTest : public KernelTest {};

TEST_P(GateKernelTest, DecideByElement) {
  for_operands([](auto& o, auto kernels) {
    std::int64_t expected = 0;
    for (std::int64_t r = 0; r < o.group.rows; ++r) {
      for (int lane = 0; lane < o.group.lanes; ++lane) expected += o.open(r, lane) ? 1 : 0;
    }
    ASSERT_EQ(kernels(GetParam()).forward(o.group, o.constants(), o.forward()), expected);
    ASSERT_TRUE(
        o.dst.holds([&](std::int64_t r, int lane) { return o.open(r, lane) ? o.opened(r, lane) : o.closed(r, lane); }));
  });
}

TEST_P(GateKernelTest, DecideByScore) {
  for_operands([](auto& o, auto kernels) {
    std::vector<float> score(o.score.data(), o.score.data() + o.group.rows);
    score[0] = 0;  // a tie is closed
    const auto open = [&](std::int64_t r) { return score[static_cast<std::size_t>(r)] > 0; };
    std::int64_t expected = 0;
    for (std::int64_t r = 0; r < o.group.rows; ++r) expected += open(r) ? o.group.lanes : 0;
    ASSERT_EQ(kernels(GetParam()).forward_scored(o.group, score.data(), o.forward()), expected);
    ASSERT_TRUE(o.dst.holds([&](std::int64_t r, int lane) { return open(r) ? o.opened(r, lane) : o.closed(r, lane); }));
  });
}

/// What both backward kernels write and add up, when `open` and `u` are the decisions and the surrogate's gradient.
template <class T, class Run, class Open, class U>
void check_gradients(Operands<T>& o, Run&& run, Open&& open, U&& u) {
  Sums sum(3), dot(4);
  std::vector<double> full(32, 5), closed(32, 6);
  GateBackward<T> operands = o.backward();
  operands.full_sums = full.data();
  operands.base_sums = closed.data();
  run(operands, sum.data(), dot.data());
  const auto from_base = [&](std::int64_t r, int lane) { return o.base.at(r, lane) - o.mean[lane]; };
  const auto g_open = [&](std::int64_t r, int lane) { return open(r, lane) ? o.diff.at(r, lane) : 0.0; };
  const auto g_closed = [&](std::int64_t r, int lane) { return open(r, lane) ? 0.0 : o.diff.at(r, lane); };
  sum.expect(o.group, "sum", u);
  dot.expect(o.group, "dot", [&](std::int64_t r, int lane) { return u(r, lane) * from_base(r, lane); });
  ASSERT_TRUE(o.diff_conditional.holds(
      [&](std::int64_t r, int lane) { return g_open(r, lane) * (o.two_norms ? o.full_scale[lane] : 1); }));
  ASSERT_TRUE(o.diff_base.holds([&](std::int64_t r, int lane) {
    const double of_ends = o.two_norms ? g_open(r, lane) * o.full_scale[lane] + g_closed(r, lane) * o.base_scale[lane]
                                       : o.diff.at(r, lane);
    return of_ends + o.slope[lane] * u(r, lane);
  }));
  if (!o.two_norms) {
    ASSERT_EQ(full, std::vector<double>(32, 5));
    ASSERT_EQ(closed, std::vector<double>(32, 6));
    return;
  }
  Sums(5, full.data()).expect(o.group, "open sum", g_open);
  Sums(5, &full[16]).expect(o.group, "open dot", [&](std::int64_t r, int lane) {
    return g_open(r, lane) * (o.sum(r, lane) - o.full_mean[lane]);
  });
  Sums(6, closed.data()).expect(o.group, "closed sum", g_closed);
  Sums(6, &closed[16]).expect(o.group, "closed dot", [&](std::int64_t r, int lane) {
    return g_closed(r, lane) * from_base(r, lane);
  });
}

TEST_P(GateKernelTest, GradientsByElement) {
  for (const bool sparse : {false, true}) {
    const Surrogate rule{2.5F, sparse};
    for_operands([&](auto& o, auto kernels) {
      check_gradients(
          o,
          [&](const auto& operands, double* sum, double* dot) {
            kernels(GetParam()).backward(o.group, o.constants(), rule, operands, sum, dot);
          },
          [&](std::int64_t r, int lane) { return o.open(r, lane); },
          [&](std::int64_t r, int lane) {
            return o.diff.at(r, lane) * o.difference(r, lane) * surrogate(o.q(r, lane), rule);
          });
    });
  }
}

TEST_P(GateKernelTest, GradientsByScore) {
  constexpr std::int64_t kWidth = 20;  // the slice has more channels than this group
  for (const bool sparse : {false, true}) {
    const Surrogate rule{30, sparse};
    for_operands([&](auto& o, auto kernels) {
      const auto score = [&](std::int64_t r) { return o.score[static_cast<int>(r)]; };
      check_gradients(
          o,
          [&](const auto& operands, double* sum, double* dot) {
            kernels(GetParam())
                .backward_scored(o.group, o.constants(), rule, kWidth, o.score.data(), o.gradient.data(), operands, sum,
                                 dot);
          },
          [&](std::int64_t r, int) { return score(r) > 0; },
          [&](std::int64_t r, int) {
            return o.gradient[static_cast<int>(r)] * surrogate(score(r) / kWidth, rule) / kWidth;
          });
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
  for_operands([](auto& o, auto kernels) {
    expect_pixel_sums(
        o.group,
        [&](float* score, bool add) { kernels(GetParam()).score(o.group, o.constants(), o.base.data(), score, add); },
        [&](std::int64_t r, int lane) { return o.q(r, lane); });
  });
}

TEST_P(GateKernelTest, GradientsOfPixels) {
  for_operands([](auto& o, auto kernels) {
    expect_pixel_sums(
        o.group, [&](float* gradient, bool add) { kernels(GetParam()).gradient(o.group, o.backward(), gradient, add); },
        [&](std::int64_t r, int lane) { return o.diff.at(r, lane) * o.difference(r, lane); });
  });
}

TEST_P(GateKernelTest, StatisticsOfBothProducts) {
  for_operands([](auto& o, auto kernels) {
    Sums sum(-2), square(3);
    kernels(GetParam())
        .full_statistics(o.group, o.base.data(), o.conditional.data(), o.mean.data(), sum.data(), square.data());
    const auto x = [&](std::int64_t r, int lane) { return o.sum(r, lane) - o.mean[lane]; };
    sum.expect(o.group, "sum", x);
    square.expect(o.group, "squares", [&](std::int64_t r, int lane) { return x(r, lane) * x(r, lane); });
  });
}

TEST_P(GateKernelTest, CorrectForNormalisations) {
  for_operands([](auto& o, auto kernels) {
    const auto base_before = o.diff_base, conditional_before = o.diff_conditional;
    const int lanes = o.group.lanes;
    const Floats b = random_floats(lanes, 31), c = random_floats(lanes, 32), full_b = random_floats(lanes, 33),
                 full_c = random_floats(lanes, 34);
    GateCorrection correction;
    correction.mean = o.mean.data();
    correction.b = b.data();
    correction.c = c.data();
    if (o.two_norms) {
      correction.full_mean = o.full_mean.data();
      correction.full_b = full_b.data();
      correction.full_c = full_c.data();
    }
    kernels(GetParam()).correct(o.group, correction, o.backward());
    const auto full = [&](std::int64_t r, int lane) {
      return o.two_norms ? full_b[lane] + full_c[lane] * (o.sum(r, lane) - o.full_mean[lane]) : 0;
    };
    ASSERT_TRUE(o.diff_base.holds([&](std::int64_t r, int lane) {
      return base_before.at(r, lane) - b[lane] - c[lane] * (o.base.at(r, lane) - o.mean[lane]) - full(r, lane);
    }));
    ASSERT_TRUE(o.diff_conditional.holds(
        [&](std::int64_t r, int lane) { return conditional_before.at(r, lane) - full(r, lane); }));
  });
}

TEST_P(GateKernelTest, WithoutAMeanThereIsNoSecondSum) {
  Operands<float> o({7, 16, 16});
  GateBackward<float> operands = o.backward();
  operands.mean = nullptr;
  std::vector<double> sum(16, 0), dot(16, 9), scored_sum(16, 0);
  const GateKernels<float>& kernels = gate_kernels<float>(GetParam());
  kernels.backward(o.group, o.constants(), {1, false}, operands, sum.data(), dot.data());
  kernels.backward_scored(o.group, o.constants(), {1, false}, 16, o.score.data(), o.gradient.data(), operands,
                          scored_sum.data(), dot.data());
  EXPECT_EQ(dot, std::vector<double>(16, 9));
  for (const double value : sum) EXPECT_NE(value, 0);
  for (const double value : scored_sum) EXPECT_NE(value, 0);
}

// u of one row with g = R = alpha = slope = 1: s (1 - s) itself, over all that fp32 can tell from 0.
TEST_P(GateKernelTest, SurrogateSlopeIsTheSigmoids) {
  const std::vector<float> zeros(16, 0.0F), ones(16, 1.0F);
  std::vector<float> scratch(32);
  for (const bool sparse : {false, true}) {
    for (double z = -120; z <= 120; z += 0.37) {
      const std::vector<float> base(16, static_cast<float>(z));
      std::vector<double> sum(16, 0.0), dot(16, 0.0);
      GateBackward<float> operands;
      operands.base = base.data();
      operands.conditional = operands.diff_dst = ones.data();
      operands.dst_stride = 16;
      operands.diff_base = scratch.data();
      operands.diff_conditional = &scratch[16];
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
