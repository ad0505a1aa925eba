// swish: odd shapes, whole blocks of channels, extreme slopes.
#include <cmath>

#include "tests/layers/harness/bad_layer.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

/// dst = x s with s = sigmoid(beta x), in plain loops.
class SwishReference : public ReferenceOp {
 public:
  void forward(ReferenceCall& call) override {
    const Array& x = *call.src[0];
    call.dst = Array(x.shape);
    for (std::int64_t i = 0; i < x.count(); ++i) call.dst[i] = x[i] * sigmoid(beta(call, i) * x[i]);
  }

  void backward(ReferenceCall& call) override {
    const Array& x = *call.src[0];
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double b = beta(call, i), s = sigmoid(b * x[i]), g = call.diff_dst[i];
      call.diff_src[0][i] = g * s * (1 + b * x[i] * (1 - s));
      (*call.diff_param["beta"])[channel(call, i)] += g * x[i] * x[i] * s * (1 - s);
    }
  }

 private:
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
  static std::int64_t channel(const ReferenceCall& call, std::int64_t i) {
    const Shape& shape = call.src[0]->shape;
    return i / (shape[kH] * shape[kW]) % shape[kC];
  }
  static double beta(const ReferenceCall& call, std::int64_t i) { return (*call.param.at("beta"))[channel(call, i)]; }
};

std::string swish(const std::string& keys) {
  return "[layer.swish]\ntype = swish\n" + keys;
}

std::vector<LayerCase> swish_cases() {
  std::vector<LayerCase> cases = {
      {"swish", "odd", {{"x", {2, 3, 5, 7}}}, swish("")},
      {"swish", "blocks", {{"x", {3, 32, 3, 5}}}, swish("beta = -0.5")},
      {"swish", "steep", {{"x", {2, 18, 3, 1}}}, swish("beta = 20")},
  };
  for (LayerCase& c : cases)
    c.references = {{"swish", [](const ReferenceKeys&) { return std::make_unique<SwishReference>(); }}};
  return cases;
}

std::vector<SemanticCase> swish_semantics() {
  SemanticCase flat{"swish", "slope_zero_halves", {{"x", {1, 1, 1, 4}, false, {-2, 0, 1, 6}}}, swish("beta = 0")};
  flat.mode = Mode::kTraining;
  flat.state = {{"swish/beta", {0}}};
  flat.shape = {1, 1, 1, 4};
  flat.result = {-1, 0, 0.5, 3};
  flat.upstream = {1, 2, 3, 4};
  flat.gradients = {{"x/value", {0.5, 1, 1.5, 2}}, {"swish/beta", {(4 * 1 + 0 * 2 + 1 * 3 + 36 * 4) / 4.0}}};
  return {flat};
}

std::vector<BadLayer> bad_swish() {
  return {
      {"slope", "swish", "beta = steep", "[layer.bad] beta: expected a number, got 'steep'"},
      {"of_row", "swish", "from = row", "[layer.bad]: expected an image N x C x H x W, got 1x4 (swish of 1x4)"},
      {"sources", "swish", "from = image, image",
       "[layer.bad] from: expected 1 source, got 2 (swish of 1x3x6x5, 1x3x6x5)"},
  };
}

INSTANTIATE_TEST_SUITE_P(Swish, LayerCases, ::testing::ValuesIn(swish_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Swish, SemanticCases, ::testing::ValuesIn(swish_semantics()), case_name);
INSTANTIATE_TEST_SUITE_P(Swish, BadLayers, ::testing::ValuesIn(bad_swish()), bad_layer_name);

}  // namespace
}  // namespace sluice
