// Precision-gated convolution by hand: exactly at the threshold, all open, all closed, the surrogate's slope.
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

/// A row of pixels of one channel under one weight of 1. With a stored scale of 7 and 3 bits levels stand for 1, and
/// with 2 bits of prediction T(x) is x without its lowest bit.
SemanticCase row(const std::string& name, const Values& src, double threshold, const std::string& keys) {
  const auto count = static_cast<std::int64_t>(src.size());
  SemanticCase c{"pg_conv", name, {{"x", {1, 1, 1, count}, false, src}}, {}};
  c.layers = "[layer.pg]\ntype = pg_conv\nchannels = 1\nkernel = 1\nweight_bits = 0\nactivation_bits = 3\n" +
             ("prediction_bits = 2\n" + keys) + "\n";
  c.types = register_gated_types;
  c.state = {{"pg/weight", {1}}, {"pg/threshold", {threshold}}, {"pg/src_scale", {7}}};
  c.shape = {1, 1, 1, count};
  return c;
}

/// Values 0 to 7 and below 0; truncated: 0, 0, 2, 2, 4, 4, 6, 6, -2, 0.
const Values kSource = {0, 1, 2, 3, 4, 5, 6, 7, -3, -1};

std::vector<SemanticCase> inference_cases() {
  SemanticCase tie = row("tie", kSource, 4, "");
  tie.result = {0, 0, 2, 2, 4, 4, 6, 7, -2, 0};  // T(5) = 4 is not above 4: closed
  SemanticCase open = row("all_open", kSource, -100, "");
  open.result = kSource;
  SemanticCase closed = row("all_closed", kSource, 100, "");
  closed.result = {0, 0, 2, 2, 4, 4, 6, 6, -2, 0};
  SemanticCase dynamic = row("dynamic", {14, 2, 6, 10.9, -14}, 3.5, "scales = dynamic");
  dynamic.result = {14, 0, 6, 10, -12};  // levels 7, 1, 3, 5, -7 of 2; T = 12, 0, 4, 8, -12
  SemanticCase half = row("ties_of_rounding", {0.5, 1.5, 2.5, 3.5, 6.5}, -100, "");
  half.result = {0, 2, 2, 4, 6};

  // Two channels, decided together by the mean of A - threshold.
  SemanticCase pixel = row("pixel", {3, 7, 5}, 0, "granularity = pixel");
  pixel.layers.replace(pixel.layers.find("channels = 1"), 12, "channels = 2");
  pixel.state = {{"pg/weight", {1, -1}}, {"pg/threshold", {1, -6}}, {"pg/src_scale", {7}}};
  pixel.shape = {1, 2, 1, 3};
  // The sum of q is (T - 1) + (-T + 6) = 5 everywhere.
  pixel.result = {3, 7, 5, -3, -7, -5};
  SemanticCase tie_of_pixel = pixel;
  tie_of_pixel.name = "pixel_tie";
  tie_of_pixel.state["pg/threshold"] = {1, -1};  // the sum of q is 0
  tie_of_pixel.result = {2, 6, 4, -2, -6, -4};

  // Levels -1, -1/3, 1/3, 1; the high bit alone tells -2/3 and 2/3. A weight of -1 turns them around.
  SemanticCase signs = row("bipolar", {-2, -0.5, -0.1, 0.2, 0.5, 2}, -0.1, "activation_levels = bipolar");
  signs.layers.replace(signs.layers.find("weight_bits = 0"), 15, "weight_bits = 1");
  signs.layers.replace(signs.layers.find("activation_bits = 3"), 19, "activation_bits = 2");
  signs.layers.replace(signs.layers.find("prediction_bits = 2"), 19, "prediction_bits = 1");
  signs.state["pg/weight"] = {-0.2};
  signs.result = {1, 1.0 / 3, 1.0 / 3, -2.0 / 3, -2.0 / 3, -2.0 / 3};
  SemanticCase all_signs = signs;
  all_signs.name = "bipolar_open";
  all_signs.state["pg/threshold"] = {-1};
  all_signs.result = {1, 1.0 / 3, 1.0 / 3, -1.0 / 3, -1.0 / 3, -1};
  return {tie, open, closed, dynamic, half, pixel, tie_of_pixel, signs, all_signs};
}

/// x = 14, 2, 6, 10: levels of 2 as above, A = 12, 0, 4, 8, L = 2, 2, 2, 2; threshold 4: the third lies exactly at it.
SemanticCase training(bool sparse) {
  SemanticCase c = row(sparse ? "training_sparse" : "training", {14, 2, 6, 10, 0}, 4,
                       sparse ? "alpha = 0.25\nsparse_backprop = yes" : "alpha = 0.25");
  c.mode = Mode::kTraining;
  c.result = {14, 0, 4, 10, 0};
  c.upstream = {1, 2, 3, 4, 5};
  Values u;
  const Values distance = {8, -4, 0, 4, -4}, low = {2, 2, 2, 2, 0};
  double sum = 0, diff_weight = 0;
  const Values high = {12, 0, 4, 8, 0}, open = {1, 0, 0, 1, 0};
  Values diff_x;
  for (std::size_t i = 0; i < 5; ++i) {
    const bool passes = !sparse || distance[i] >= 0;
    u.push_back(passes ? c.upstream[i] * low[i] * 0.25 * slope(0.25 * distance[i]) : 0);
    sum += u[i];
    diff_weight += high[i] * (c.upstream[i] + u[i]) + low[i] * c.upstream[i] * open[i];
    diff_x.push_back(i == 4 ? 0 : c.upstream[i] + u[i]);  // nothing passes where the source is 0
  }
  c.gradients = {{"x/value", diff_x}, {"pg/weight", {diff_weight}}, {"pg/threshold", {-sum}}};
  c.buffers_after = {{"pg/src_scale", {0.9 * 7 + 0.1 * 14}}};
  return c;
}

std::vector<SemanticCase> pg_semantics() {
  std::vector<SemanticCase> cases = inference_cases();
  cases.push_back(training(false));
  cases.push_back(training(true));
  return cases;
}

INSTANTIATE_TEST_SUITE_P(PgConv, SemanticCases, ::testing::ValuesIn(pg_semantics()), case_name);

}  // namespace
}  // namespace sluice
