// relu, clip and add: alone, on images and on vectors.
#include <limits>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

const std::string kRelu = "[layer.relu]\ntype = relu\n";
const std::string kAdd = "[layer.add]\ntype = add\nfrom = a, b\n";

std::string clip(const std::string& keys) {
  return "[layer.clip]\ntype = clip\n" + keys;
}

std::vector<LayerCase> pointwise_cases() {
  const Shape odd{2, 3, 5, 7}, blocks{3, 32, 3, 5};
  return {
      {"relu", "odd", {{"x", odd}}, kRelu},
      {"relu", "blocks", {{"x", blocks}}, kRelu},
      {"relu", "vector", {{"x", {3, 11}, true}}, kRelu},
      {"clip", "default", {{"x", odd}}, clip("")},
      {"clip", "both_sides", {{"x", blocks}}, clip("low = -0.5\nhigh = 0.75")},
      {"clip", "negative", {{"x", {2, 18, 3, 1}}}, clip("low = -1.5\nhigh = -0.1")},
      {"add", "odd", {{"a", odd}, {"b", odd}}, kAdd},
      {"add", "blocks", {{"a", blocks}, {"b", blocks}}, kAdd},
      {"add", "vector", {{"a", {5, 3}, true}, {"b", {5, 3}, true}}, kAdd},
      {"add", "itself", {{"x", odd}}, "[layer.add]\ntype = add\nfrom = x, x\n"},
      {"add", "data", {{"data", odd}, {"a", odd}}, "[layer.add]\ntype = add\nfrom = a, data\n"},
  };
}

std::vector<SemanticCase> pointwise_semantics() {
  const double inf = std::numeric_limits<double>::infinity();
  SemanticCase relu{"relu", "kink", {{"x", {1, 5}, true, {-2, -0.0, 0, 1e-30, 3}}}, kRelu};
  relu.mode = Mode::kTraining;
  relu.shape = {1, 5};
  relu.result = {0, 0, 0, 1e-30, 3};
  relu.upstream = {1, 2, 3, 4, 5};
  relu.gradients = {{"x/value", {0, 0, 0, 4, 5}}};  // at 0 the gradient is 0

  SemanticCase at_bounds{"clip", "at_bounds", {{"x", {1, 6}, true, {-inf, -1, -0.5, 0.5, 2, inf}}}, {}};
  at_bounds.layers = clip("low = -1\nhigh = 2");
  at_bounds.mode = Mode::kTraining;
  at_bounds.shape = {1, 6};
  at_bounds.result = {-1, -1, -0.5, 0.5, 2, 2};
  at_bounds.upstream = {1, 2, 3, 4, 5, 6};
  at_bounds.gradients = {{"x/value", {0, 0, 3, 4, 0, 0}}};  // at a bound the gradient is 0

  SemanticCase add{"add", "two", {{"a", {1, 3}, true, {1, 2, -3}}, {"b", {1, 3}, true, {10, -2, 0.5}}}, kAdd};
  add.mode = Mode::kTraining;
  add.shape = {1, 3};
  add.result = {11, 0, -2.5};
  add.upstream = {1, 2, 3};
  add.gradients = {{"a/value", {1, 2, 3}}, {"b/value", {1, 2, 3}}};
  return {relu, at_bounds, add};
}

INSTANTIATE_TEST_SUITE_P(Pointwise, LayerCases, ::testing::ValuesIn(pointwise_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Pointwise, SemanticCases, ::testing::ValuesIn(pointwise_semantics()), case_name);

}  // namespace
}  // namespace sluice
