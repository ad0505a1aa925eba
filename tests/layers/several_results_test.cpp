// A layer with two sources and two results (test_rotate), against its reference: gradients of each result alone and of
// both, fan-out of each, in every layout and type.
#include <cmath>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

/// dst = cos(a) x - sin(a) y, second = sin(a) x + cos(a) y, in plain loops.
class RotateReference : public ReferenceOp {
 public:
  explicit RotateReference(const ReferenceKeys&) {}

  void forward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &y = *call.src[1];
    call.dst = Array(x.shape);
    call.more_dst = {Array(x.shape)};
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double a = angle(call, i);
      call.dst[i] = std::cos(a) * x[i] - std::sin(a) * y[i];
      call.more_dst[0][i] = std::sin(a) * x[i] + std::cos(a) * y[i];
    }
  }

  void backward(ReferenceCall& call) override {
    const Array &g = call.diff_dst, &h = call.more_diff_dst[0];
    for (std::int64_t i = 0; i < g.count(); ++i) {
      const double a = angle(call, i);
      call.diff_src[0][i] = std::cos(a) * g[i] + std::sin(a) * h[i];
      call.diff_src[1][i] = std::cos(a) * h[i] - std::sin(a) * g[i];
      (*call.diff_param["angle"])[channel(call, i)] += h[i] * call.dst[i] - g[i] * call.more_dst[0][i];
    }
  }

 private:
  static std::int64_t channel(const ReferenceCall& call, std::int64_t i) {
    const Shape& s = call.src[0]->shape;
    return i / (s[kH] * s[kW]) % s[kC];
  }
  static double angle(const ReferenceCall& call, std::int64_t i) { return (*call.param.at("angle"))[channel(call, i)]; }
};

/// `turn` turns x and y; `reader` reads its results.
LayerCase rotate_case(const std::string& name, const Shape& shape, const std::string& reader) {
  LayerCase c{"test_rotate",
              name,
              {{"x", shape}, {"y", shape}},
              "[layer.turn]\ntype = test_rotate\nangle = 0.7\nfrom = x, y\n" + reader};
  c.references["test_rotate"] = [](const ReferenceKeys& keys) { return std::make_unique<RotateReference>(keys); };
  return c;
}

std::vector<LayerCase> rotate_cases() {
  const Shape odd = {2, 3, 5, 7}, wide = {2, 32, 3, 5};
  const std::string both = "[layer.join]\ntype = concat\nfrom = turn:second, turn\n";
  const std::string fan_out =
      "[layer.relu]\ntype = relu\nfrom = turn:second\n[layer.pair]\ntype = add\nfrom = relu, turn:second\n"
      "[layer.clip]\ntype = clip\nlow = -1\nhigh = 1\nfrom = turn\n[layer.join]\ntype = concat\nfrom = pair, clip, "
      "turn, "
      "turn:second\n";
  const std::string in_a_network =
      "[layer.conv]\ntype = conv\nchannels = 16\nkernel = 3\npad = 1\nfrom = turn:second\n[layer.relu]\ntype = relu\n"
      "[layer.again]\ntype = test_rotate\nfrom = relu, relu\n[layer.conv2]\ntype = conv\nchannels = 5\nkernel = "
      "1\nfrom "
      "= again:second\n[layer.conv3]\ntype = conv\nchannels = 5\nkernel = 1\nfrom = again\n[layer.add]\ntype = "
      "add\nfrom "
      "= conv2, conv3\n";
  const std::string two_losses =
      "[layer.first]\ntype = test_loss\nfrom = turn\n[layer.second]\ntype = test_loss\nfrom = turn:second\n";
  std::vector<LayerCase> cases = {
      rotate_case("both", odd, both),
      rotate_case("both_in_blocks", wide, both),
      rotate_case("first_alone", odd, "[layer.relu]\ntype = relu\nfrom = turn\n"),
      rotate_case("second_alone", odd, "[layer.relu]\ntype = relu\nfrom = turn:second\n"),
      rotate_case("fan_out", odd, fan_out),
      rotate_case("fan_out_in_blocks", wide, fan_out),
      rotate_case("in_a_network", wide, in_a_network),
      rotate_case("two_losses", odd, two_losses),
  };
  cases[5].seed = 3;  // no value so near to a bend that a difference would cross it
  cases[6].tolerance = 5e-6;
  cases[6].bf16_tolerance = 1.0 / 32;  // five roundings
  return cases;
}

std::vector<SemanticCase> rotate_semantics() {
  constexpr double kQuarter = 1.5707963267948966;
  SemanticCase turned{"test_rotate",
                      "quarter_turn",
                      {{"x", {1, 1, 1, 2}, false, {1, 2}}, {"y", {1, 1, 1, 2}, false, {10, 20}}},
                      "[layer.turn]\ntype = test_rotate\nfrom = x, y\n[layer.join]\ntype = concat\nfrom = turn, "
                      "turn:second\n"};
  turned.state = {{"turn/angle", {kQuarter}}};
  turned.mode = Mode::kTraining;
  turned.shape = {1, 2, 1, 2};
  turned.result = {-10, -20, 1, 2};
  turned.upstream = {1, 0, 0, 1};
  turned.gradients = {{"x/value", {0, 1}}, {"y/value", {-1, 0}}, {"turn/angle", {-20 - 1}}};
  turned.tolerance = 1e-5;

  SemanticCase second = turned;
  second.name = "second_alone";
  second.layers = "[layer.turn]\ntype = test_rotate\nfrom = x, y\n[layer.relu]\ntype = relu\nfrom = turn:second\n";
  second.shape = {1, 1, 1, 2};
  second.result = {1, 2};
  second.upstream = {1, 3};
  second.gradients = {{"x/value", {1, 3}}, {"turn/angle", {-10 - 60}}};
  return {turned, second};
}

INSTANTIATE_TEST_SUITE_P(SeveralResults, LayerCases, testing::ValuesIn(rotate_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(SeveralResults, SemanticCases, testing::ValuesIn(rotate_semantics()), case_name);

}  // namespace
}  // namespace sluice
