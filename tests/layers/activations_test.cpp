// Activations beside relu and clip, and products: alone, on images and on vectors.
#include <limits>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string layer(const std::string& type, const std::string& keys = "") {
  return "[layer.act]\ntype = " + type + "\n" + keys;
}

const std::string kProduct = "[layer.product]\ntype = multiply\nfrom = a, b\n";

std::vector<LayerCase> activation_cases() {
  const Shape odd{2, 3, 5, 7}, blocks{3, 32, 3, 5};
  std::vector<LayerCase> cases = {
      {"leaky_relu", "steep", {{"x", odd}}, layer("leaky_relu", "slope = 0.3\n")},
      {"leaky_relu", "downwards", {{"x", blocks}}, layer("leaky_relu", "slope = -0.5\n")},
      {"multiply", "odd", {{"a", odd}, {"b", odd}}, kProduct},
      {"multiply", "blocks", {{"a", blocks}, {"b", blocks}}, kProduct},
      {"multiply", "vector", {{"a", {5, 3}, true}, {"b", {5, 3}, true}}, kProduct},
      {"multiply", "square", {{"x", odd}}, "[layer.product]\ntype = multiply\nfrom = x, x\n"},
      {"multiply", "channels", {{"a", odd}, {"b", {2, 3}, true}}, kProduct},
      {"multiply", "blocks_of_channels", {{"a", blocks}, {"b", {3, 32}, true}}, kProduct},
      {"multiply", "data", {{"data", odd}, {"b", {2, 3}, true}}, "[layer.product]\ntype = multiply\nfrom = data, b\n"}};
  for (const char* type : {"leaky_relu", "sigmoid", "hard_sigmoid", "hard_swish", "silu"}) {
    cases.push_back({type, "odd", {{"x", odd}}, layer(type)});
    cases.push_back({type, "blocks", {{"x", blocks}}, layer(type)});
    cases.push_back({type, "vector", {{"x", {3, 11}, true}}, layer(type)});
  }
  return cases;
}

/// In training, with upstream gradients of 1.
SemanticCase values(const std::string& type, const std::string& keys, std::vector<double> x, std::vector<double> y,
                    std::vector<double> slope) {
  const auto count = static_cast<std::int64_t>(x.size());
  SemanticCase c{type, "values", {{"x", {1, count}, true, std::move(x)}}, layer(type, keys)};
  c.mode = Mode::kTraining;
  c.shape = {1, count};
  c.result = std::move(y);
  c.upstream = std::vector<double>(static_cast<std::size_t>(count), 1.0);
  c.gradients = {{"x/value", std::move(slope)}};
  return c;
}

std::vector<SemanticCase> activation_semantics() {
  SemanticCase product{
      "multiply", "channels", {{"a", {1, 2, 1, 2}, false, {1, 2, 3, 4}}, {"b", {1, 2}, true, {10, -1}}}, kProduct};
  product.mode = Mode::kTraining;
  product.shape = {1, 2, 1, 2};
  product.result = {10, 20, -3, -4};
  product.upstream = {1, 2, 3, 4};
  product.gradients = {{"a/value", {10, 20, -3, -4}}, {"b/value", {5, 25}}};
  return {values("leaky_relu", "slope = 0.5\n", {-2, 0, 3}, {-1, 0, 3}, {0.5, 0.5, 1}),
          values("sigmoid", "", {-200, 0, 200}, {0, 0.5, 1}, {0, 0.25, 0}),
          values("hard_sigmoid", "", {-3, 0, 1.5, 3}, {0, 0.5, 0.75, 1}, {0, 1.0 / 6, 1.0 / 6, 0}),
          values("hard_swish", "", {-4, -3, 0, 3, 4}, {0, 0, 0, 3, 4}, {0, 0, 0.5, 1, 1}),
          values("silu", "", {-200, 0, 200}, {0, 0, 200}, {0, 0.5, 1}),
          product};
}

INSTANTIATE_TEST_SUITE_P(Activations, LayerCases, ::testing::ValuesIn(activation_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Activations, SemanticCases, ::testing::ValuesIn(activation_semantics()), case_name);

}  // namespace
}  // namespace sluice
