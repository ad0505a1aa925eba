// Channel-gated convolution by hand: exactly at the threshold, decisions of slices and pixels, the surrogate's slope.
#include <cmath>

#include "core/base/error.hpp"
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

using Values = std::vector<double>;

/// s (1 - s) with s = sigmoid(z).
double slope(double z) {
  return std::exp(z) / ((1 + std::exp(z)) * (1 + std::exp(z)));
}

double sum(const Values& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

double dot(const Values& a, const Values& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

Values joined(Values a, const Values& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The gradient of a normalisation without affine parameters: (u - mean(u) - x mean(u x)) / deviation.
Values through_normalisation(const Values& u, const Values& normalised, double deviation) {
  const double n = static_cast<double>(u.size());
  Values diff;
  for (std::size_t i = 0; i < u.size(); ++i)
    diff.push_back((u[i] - sum(u) / n - normalised[i] * dot(u, normalised) / n) / deviation);
  return diff;
}

/// One row of pixels with two channels, the first of which is the base path.
SemanticCase row(const std::string& name, const Values& base, const Values& conditional, const std::string& keys) {
  SemanticCase c{"cg_conv", name, {}, "[layer.cg]\ntype = cg_conv\nkernel = 1\npartitions = 2\n" + keys + "\n"};
  c.sources = {{"x", {1, 2, 1, static_cast<std::int64_t>(base.size())}, false, joined(base, conditional)}};
  c.types = register_gated_types;
  return c;
}

// Yp = -3, -1, 1, 3: mean 0, variance 5, with eps = 11 deviation 4; BN0(Yp) = -3/4, -1/4, 1/4, 3/4; threshold 1/4: the
// third pixel lies exactly at it and is closed.
SemanticCase tie_in_training(bool sparse) {
  const Values base = {-3, -1, 1, 3}, conditional = {10, 20, 30, 40}, g = {1, 2, 3, 4};
  SemanticCase c =
      row(sparse ? "tie_in_training_sparse" : "tie_in_training", base, conditional,
          std::string("channels = 1\ngate_eps = 11\nalpha = 2\nsparse_backprop = ") + (sparse ? "yes" : "no"));
  c.mode = Mode::kTraining;
  c.state = {{"cg/weight", {1, 1}}, {"cg/threshold", {0.25}}};
  c.shape = {1, 1, 1, 4};
  c.result = {-3, -1, 1, 3 + 40};
  c.upstream = g;
  // z = 2 (BN0(Yp) - 1/4) = -2, -1, 0, 1; sparse: nothing where z < 0, but z = 0 has its slope of 1/4.
  Values u = {1 * 10 * 2 * slope(-2), 2 * 20 * 2 * slope(-1), 3 * 30 * 2 * 0.25, 4 * 40 * 2 * slope(1)};
  if (sparse) u[0] = u[1] = 0;
  Values diff_base = through_normalisation(u, {-0.75, -0.25, 0.25, 0.75}, 4);
  for (std::size_t i = 0; i < 4; ++i) diff_base[i] += g[i];
  const Values diff_conditional = {0, 0, 0, 4};
  c.gradients = {{"cg/threshold", {-sum(u)}},
                 {"cg/weight", {dot(diff_base, base), dot(diff_conditional, conditional)}},
                 {"x/value", joined(diff_base, diff_conditional)}};
  c.buffers_after = {{"cg/gate_running_mean", {0}}, {"cg/gate_running_var", {0.9 + 0.1 * 5 * 4 / 3}}};
  c.tolerance = 2e-6;
  return c;
}

// mean + threshold sqrt(variance + eps) = 1 + 1/2 * 2 = 2.
SemanticCase tie_in_inference() {
  SemanticCase c = row("tie_in_inference", {1.5, 2, 2.5, 1.9999999}, {10, 20, 30, 40}, "channels = 1\ngate_eps = 1");
  c.state = {
      {"cg/weight", {1, 1}}, {"cg/threshold", {0.5}}, {"cg/gate_running_mean", {1}}, {"cg/gate_running_var", {3}}};
  c.shape = {1, 1, 1, 4};
  c.result = {1.5, 2, 32.5, 1.9999999};
  return c;
}

// 17 channels: a slice of 16 with q = 3, -1, 3, -1, ... (mean 1), and one of a single channel with q = -2; on the
// second pixel with the other sign, on the third all are 0. The pixel's mean is 14 / 17. Closed where the mean is 0.
SemanticCase shared_decisions(bool pixel) {
  SemanticCase c = row(pixel ? "pixel" : "slice", {1, -1, 0}, {100, 100, 100},
                       std::string("channels = 17\ngate_eps = 0.5\ngranularity = ") + (pixel ? "pixel" : "slice"));
  Values weights;
  for (int o = 0; o < 17; ++o) {
    const double base = o == 16 ? -2 : o % 2 == 0 ? 3 : -1;
    weights = joined(weights, {base, 1});
    const bool first = pixel || o < 16, second = !pixel && o == 16;
    c.result = joined(c.result, {base + (first ? 100 : 0), -base + (second ? 100 : 0), 0});
  }
  c.state = {{"cg/weight", weights}, {"cg/gate_running_var", Values(17, 0.5)}};
  c.shape = {1, 17, 1, 3};
  return c;
}

// Two channels share decisions: P0 = x, P1 = 2 x, R0 = r, R1 = -r. The gradient of the shared decision is divided
// between both.
SemanticCase slice_in_training(bool sparse) {
  const Values x = {-3, -1, 1, 3}, r = {10, 20, 30, 40}, g0 = {1, 2, 3, 4}, g1 = {-2, 1, -4, 3};
  SemanticCase c = row(sparse ? "slice_in_training_sparse" : "slice_in_training", x, r,
                       std::string("channels = 2\ngate_eps = 4\nalpha = 0.5\ngranularity = slice\nsparse_backprop = ") +
                           (sparse ? "yes" : "no"));
  c.mode = Mode::kTraining;
  const double d0 = std::sqrt(5 + 4), d1 = std::sqrt(20 + 4), t0 = 0.5, t1 = -0.25;
  c.state = {{"cg/weight", {1, 1, 2, -1}}, {"cg/threshold", {t0, t1}}};
  c.shape = {1, 2, 1, 4};
  c.result = {-3, -1, 1 + 30, 3 + 40, -6, -2, 2 - 30, 6 - 40};
  c.upstream = joined(g0, g1);
  Values n0, n1, u;
  for (std::size_t i = 0; i < 4; ++i) {
    n0.push_back(x[i] / d0);
    n1.push_back(2 * x[i] / d1);
    const double z = 0.5 * (n0[i] - t0 + n1[i] - t1) / 2;
    u.push_back(sparse && z < 0 ? 0 : (g0[i] * r[i] - g1[i] * r[i]) * 0.5 * slope(z) / 2);
  }
  Values diff0 = through_normalisation(u, n0, d0), diff1 = through_normalisation(u, n1, d1), diff_x;
  for (std::size_t i = 0; i < 4; ++i) {
    diff0[i] += g0[i];
    diff1[i] += g1[i];
    diff_x.push_back(diff0[i] + 2 * diff1[i]);
  }
  const Values kept0 = {0, 0, 3, 4}, kept1 = {0, 0, -4, 3}, diff_r = {0, 0, 3 + 4, 4 - 3};
  c.gradients = {{"cg/threshold", {-sum(u), -sum(u)}},
                 {"cg/weight", {dot(diff0, x), dot(kept0, r), dot(diff1, x), dot(kept1, r)}},
                 {"x/value", joined(diff_x, diff_r)}};
  c.tolerance = 2e-6;
  return c;
}

// BN0(Yp) = -1/2, 1/2 in every channel; only the second pixel has a gradient, so diff_threshold = -7 alpha s (1 - s).
SemanticCase surrogate_slope(bool sparse) {
  const Values q = {-40, -6, -2.5, -1, -0.5, -0.125, 0, 0.125, 0.25, 1, 1.5, 3, 7, 40};
  const double alpha = 3;
  SemanticCase c = row(sparse ? "surrogate_slope_sparse" : "surrogate_slope", {-1, 1}, {5, 7},
                       concat("channels = ", q.size(), "\ngate_eps = 3\nalpha = ", alpha,
                              "\nsparse_backprop = ", sparse ? "yes" : "no"));
  c.mode = Mode::kTraining;
  Values weights, thresholds, expected;
  for (const double value : q) {
    weights = joined(weights, {1, 1});
    thresholds.push_back(0.5 - value);
    c.result = joined(c.result, {-1.0 + (value > 1 ? 5 : 0), 1.0 + (value > 0 ? 7 : 0)});
    c.upstream = joined(c.upstream, {0, 1});
    expected.push_back(sparse && value < 0 ? 0 : -7 * alpha * slope(alpha * value));
  }
  c.state = {{"cg/weight", weights}, {"cg/threshold", thresholds}};
  c.shape = {1, static_cast<std::int64_t>(q.size()), 1, 2};
  c.gradients = {{"cg/threshold", expected}};
  return c;
}

// BN0(Yp) = (Yp - 1) / 2 > 1/2 from 2 on. Open: 10 (Yp + Yr - 20) / 5 + 1; closed: 3 (Yp - 1) / 2 - 1.
SemanticCase two_norms() {
  SemanticCase c = row("two_norms", {1, 2, 3}, {30, 40, 27}, "channels = 1\ngate_eps = 1\ntwo_norms = yes");
  c.state = {{"cg/weight", {1, 1}},        {"cg/threshold", {0.5}},        {"cg/gate_running_mean", {1}},
             {"cg/gate_running_var", {3}}, {"cg/full_running_mean", {20}}, {"cg/full_running_var", {24}},
             {"cg/full_weight", {10}},     {"cg/full_bias", {1}},          {"cg/base_weight", {3}},
             {"cg/base_bias", {-1}}};
  c.shape = {1, 1, 1, 3};
  c.result = {-1, 0.5, 21};
  return c;
}

std::vector<SemanticCase> cg_semantics() {
  std::vector<SemanticCase> cases = {tie_in_inference(), two_norms()};
  for (const bool flag : {false, true}) {
    cases.push_back(tie_in_training(flag));
    cases.push_back(shared_decisions(flag));
    cases.push_back(slice_in_training(flag));
    cases.push_back(surrogate_slope(flag));
  }
  // Channels a, b, c, d in 2 groups become a, c, b, d: the base path of 2 positions reads a and c.
  SemanticCase shuffle{"cg_conv",
                       "shuffle",
                       {{"x", {1, 4, 1, 1}, false, {1, 10, 100, 1000}}},
                       "[layer.cg]\ntype = cg_conv\nkernel = 1\nchannels = 2\npartitions = 2\nshuffle = yes\n"};
  shuffle.state = {{"cg/weight", {1, 2, 3, 4, 1, 1, 1, 1}}, {"cg/threshold", {1000, -1000}}};
  shuffle.shape = {1, 2, 1, 1};
  shuffle.result = {1 + 200, 1111};
  shuffle.types = register_gated_types;
  cases.push_back(shuffle);
  // With group the second output's base path is the second half, b and d.
  SemanticCase group = shuffle;
  group.name = "group_shuffle";
  group.layers += "own_chunk = yes\n";
  group.state = {{"cg/weight", {1, 2, 3, 4, 5, 6, 7, 8}}, {"cg/threshold", {1e6, 1e6}}};
  group.result = {1 + 200, 7 * 10 + 8 * 1000};
  cases.push_back(group);
  return cases;
}

INSTANTIATE_TEST_SUITE_P(CgConv, SemanticCases, ::testing::ValuesIn(cg_semantics()), case_name);

}  // namespace
}  // namespace sluice
