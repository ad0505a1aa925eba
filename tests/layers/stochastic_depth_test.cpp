// Stochastic depth: whole images are left out, as many as the rate says, and what that depends on.
#include <set>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string depth(const std::string& keys = "") {
  return "[layer.depth]\ntype = stochastic_depth\n" + keys;
}

std::vector<LayerCase> depth_cases() {
  return {
      {"stochastic_depth", "odd", {{"x", {7, 3, 5, 7}}}, depth("rate = 0.5")},
      {"stochastic_depth", "blocks", {{"x", {5, 48, 5, 3}}}, depth("rate = 0.3")},
      {"stochastic_depth", "vector", {{"x", {9, 13}, true}}, depth("rate = 0.6")},
      {"stochastic_depth", "deep", {{"x", {8, 3, 5, 7}}}, depth("rate = 0.6\nplace = 4\nplaces = 5")},
      {"stochastic_depth", "none", {{"x", {2, 3, 5, 7}}}, depth("rate = 0")},
      {"stochastic_depth",
       "branch",
       {{"x", {6, 16, 5, 4}}},
       "[layer.bn]\ntype = batchnorm\n[layer.relu]\ntype = relu\n" + depth("rate = 0.4") +
           "\n[layer.add]\ntype = add\nfrom = bn, depth"},
  };
}

std::vector<SemanticCase> depth_semantics() {
  SemanticCase inference{
      "stochastic_depth", "identity_in_inference", {{"x", {1, 4}, true, {1, -2, 3, 4}}}, depth("rate = 0.9")};
  inference.shape = {1, 4};
  inference.result = {1, -2, 3, 4};

  SemanticCase none = inference;
  none.name = "identity_without_rate";
  none.layers = depth("rate = 0");
  none.mode = Mode::kTraining;
  none.upstream = {4, 3, 2, 1};
  none.gradients = {{"x/value", {4, 3, 2, 1}}};
  return {inference, none};
}

INSTANTIATE_TEST_SUITE_P(StochasticDepth, LayerCases, ::testing::ValuesIn(depth_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(StochasticDepth, SemanticCases, ::testing::ValuesIn(depth_semantics()), case_name);

/// The result of the layer over ones, image by image; nothing where the values of an image differ.
std::vector<double> keep_ones(std::uint64_t seed, std::uint64_t step) {
  const Shape shape{400, 3, 2, 2};
  CaseNetwork built({{"x", shape}}, depth("rate = 0.2") + "\n[layer.loss]\ntype = test_loss\n");
  std::fill_n(built.network->parameter_data(), shape.count(), 1.0F);
  ExecutorOptions options;
  options.mode = Mode::kTraining;
  options.batch = shape[kN];
  options.seed = seed;
  Executor executor(*built.network, options);
  const std::vector<float> unread(static_cast<std::size_t>(built.network->input_shape(options.batch).count()));
  executor.lend_batch(unread.data(), nullptr);
  executor.refresh();
  executor.forward(step);
  const std::vector<double> values = to_array(executor.result(built.network->find("depth"))).values;
  std::vector<double> images;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 12 == 0) images.push_back(values[i]);
    if (values[i] != images.back()) return {};
  }
  return images;
}

TEST(StochasticDepth, WholeImagesAreLeftOut) {
  const std::vector<double> images = keep_ones(1, 2);
  ASSERT_EQ(images.size(), 400U);
  const std::set<double> distinct(images.begin(), images.end());
  ASSERT_EQ(distinct.size(), 2U);
  EXPECT_EQ(*distinct.begin(), 0.0);
  EXPECT_NEAR(*distinct.rbegin(), 1.25, 1e-6);
  EXPECT_NEAR(static_cast<double>(std::count(images.begin(), images.end(), 0.0)), 80, 32);  // four standard deviations
}

TEST(StochasticDepth, DependsOnSeedAndStep) {
  EXPECT_EQ(keep_ones(1, 2), keep_ones(1, 2));
  EXPECT_NE(keep_ones(1, 3), keep_ones(1, 2));
  EXPECT_NE(keep_ones(2, 2), keep_ones(1, 2));
}

}  // namespace
}  // namespace sluice
