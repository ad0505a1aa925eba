// Batch normalisation alone and with every ending that it takes over from its followers.
#include <cmath>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string norm(const std::string& keys = "") {
  return "[layer.bn]\ntype = batchnorm\n" + keys;
}

const std::string kRelu = "\n[layer.relu]\ntype = relu\n";

std::string clip(const std::string& low, const std::string& high) {
  return "\n[layer.clip]\ntype = clip\nlow = " + low + "\nhigh = " + high + "\n";
}

const std::string kAdd = "\n[layer.add]\ntype = add\nfrom = bn, other\n";

std::vector<LayerCase> batchnorm_cases() {
  const Shape odd{2, 3, 5, 7}, blocks{3, 32, 3, 5}, tail{2, 19, 4, 3};
  std::vector<LayerCase> cases = {
      {"batchnorm", "odd", {{"x", odd}}, norm()},
      {"batchnorm", "blocks", {{"x", blocks}}, norm()},
      {"batchnorm", "tail", {{"x", tail}}, norm()},
      {"batchnorm", "sixteen", {{"x", {4, 16, 2, 3}}}, norm()},
      {"batchnorm", "keys", {{"x", odd}}, norm("eps = 0.01\nmomentum = 0.3")},
      {"batchnorm", "not_affine", {{"x", odd}}, norm("affine = no")},
      {"batchnorm", "frozen_statistics", {{"x", odd}}, norm("momentum = 0")},
      {"batchnorm", "many_rows", {{"x", {2, 3, 19, 17}}}, norm()},  // more than a chunk of the kernel's sums
      {"batchnorm", "one_pixel", {{"x", {5, 3, 1, 1}}}, norm()},
      {"batchnorm", "of_data", {{"data", odd}}, norm()},
  };
  const auto chain = [&](const std::string& name, const Shape& shape, const std::string& layers, bool other) {
    std::vector<CaseSource> sources = {{"x", shape}};
    if (other) sources.insert(sources.begin(), {"other", shape});
    cases.push_back({"batchnorm", name, sources, layers});
    cases.back().seed = 4;  // no result rounds to a bound, where the gradient may be either
  };
  const std::pair<const char*, Shape> shapes[] = {{"odd", odd}, {"blocks", blocks}, {"tail", tail}};
  for (const auto& [name, shape] : shapes) {
    const std::string suffix = std::string("_") + name;
    const bool inexact = shape == odd;  // bounds that bf16 cannot hold
    const std::string clipped = inexact ? clip("-0.4", "0.9") : clip("-0.5", "0.75");
    chain("relu" + suffix, shape, norm() + kRelu, false);
    chain("clip" + suffix, shape, norm() + clipped, false);
    chain("add" + suffix, shape, norm() + kAdd, true);
    chain("add_relu" + suffix, shape, norm() + kAdd + kRelu, true);
    chain("add_clip" + suffix, shape, norm() + kAdd + clipped, true);
    chain("relu_add" + suffix, shape, norm() + kRelu + "[layer.add]\ntype = add\nfrom = other, relu\n", true);
    chain("clip_add" + suffix, shape, norm() + clipped + "[layer.add]\ntype = add\nfrom = clip, other\n", true);
  }
  return cases;
}

std::vector<SemanticCase> batchnorm_semantics() {
  // Two channels over two images of one pixel; the second channel is constant.
  SemanticCase training{"batchnorm", "training", {{"x", {2, 2, 1, 1}, false, {1, 4, 3, 4}}}, norm("eps = 0.25")};
  training.state = {{"bn/weight", {2, 5}}, {"bn/bias", {10, 7}}};
  training.mode = Mode::kTraining;
  training.shape = {2, 2, 1, 1};
  const double d = std::sqrt(1 + 0.25);  // mean 2, variance 1
  training.result = {10 - 2 / d, 7, 10 + 2 / d, 7};
  training.upstream = {1, 1, 0, 0};
  // x^ = -1/d, +1/d; sum(g) = 1, sum(g x^) = -1/d; diff = w/d (g - 1/2 - x^ (-1/d) / 2).
  const double diff = 2 / d * (0.5 - 0.5 / (d * d));
  training.gradients = {
      {"bn/bias", {1, 1}}, {"bn/weight", {-1 / d, 0}}, {"x/value", {diff, 5 / 0.5 * 0.5, -diff, -5 / 0.5 * 0.5}}};
  // Mean 2 and 4; unbiased variance 2 and 0; momentum 0.1.
  training.buffers_after = {{"bn/running_mean", {0.2, 0.4}}, {"bn/running_var", {0.9 + 0.2, 0.9}}};

  SemanticCase inference{"batchnorm", "inference", {{"x", {1, 2, 1, 2}, false, {1, 2, 3, 4}}}, norm("eps = 0.5")};
  inference.state = {
      {"bn/weight", {3, 1}}, {"bn/bias", {-1, 0.5}}, {"bn/running_mean", {1, 2}}, {"bn/running_var", {3.5, 0.5}}};
  inference.shape = {1, 2, 1, 2};
  inference.result = {-1, -1 + 3 / 2.0, 0.5 + 1, 0.5 + 2};
  return {training, inference};
}

INSTANTIATE_TEST_SUITE_P(BatchNorm, LayerCases, ::testing::ValuesIn(batchnorm_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(BatchNorm, SemanticCases, ::testing::ValuesIn(batchnorm_semantics()), case_name);

}  // namespace
}  // namespace sluice
