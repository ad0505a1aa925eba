// What stands at a classifier's end: global_pool, linear, softmax_cross_entropy.
#include <cmath>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

const std::string kPool = "[layer.pool]\ntype = global_pool\n";
const std::string kLoss = "[layer.loss]\ntype = softmax_cross_entropy\nfrom = x, labels\n";

std::string linear(const std::string& keys) {
  return "[layer.linear]\ntype = linear\n" + keys + "\n";
}

LayerCase loss_case(const std::string& name, const Shape& shape, const std::string& layers) {
  LayerCase c{"softmax_cross_entropy", name, {{"x", shape, true}}, layers};
  c.classes = shape[1];
  return c;
}

std::vector<LayerCase> classifier_cases() {
  LayerCase whole{"softmax_cross_entropy", "whole_end", {{"x", {3, 16, 3, 5}}}, {}};
  whole.layers = kPool + linear("features = 7") + "[layer.loss]\ntype = softmax_cross_entropy\nfrom = linear, labels\n";
  whole.classes = 7;
  return {
      {"global_pool", "odd", {{"x", {2, 3, 5, 7}}}, kPool},
      {"global_pool", "blocks", {{"x", {3, 48, 3, 2}}}, kPool},
      {"global_pool", "one_pixel", {{"x", {3, 5, 1, 1}}}, kPool},
      {"linear", "vector", {{"x", {3, 11}, true}}, linear("features = 5")},
      {"linear", "no_bias", {{"x", {2, 7}, true}}, linear("features = 3\nbias = no")},
      {"linear", "image", {{"x", {2, 3, 5, 7}}}, linear("features = 6")},
      {"linear", "image_blocks", {{"x", {3, 32, 2, 3}}}, linear("features = 10")},
      {"linear", "image_sixteen", {{"x", {2, 16, 3, 2}}}, linear("features = 4\nbias = no")},
      {"linear", "one_image", {{"x", {1, 64}, true}}, linear("features = 10")},
      {"linear", "of_data", {{"data", {2, 3, 4, 5}}}, linear("features = 6")},
      {"linear",
       "two",
       {{"x", {4, 9}, true}},
       linear("features = 8") + "[layer.second]\ntype = linear\nfeatures = 3\n"},
      loss_case("plain", {5, 7}, kLoss),
      loss_case("smoothed", {4, 10}, kLoss + "label_smoothing = 0.1\n"),
      loss_case("two_classes", {3, 2}, kLoss),
      whole,
  };
}

std::vector<SemanticCase> classifier_semantics() {
  SemanticCase pool{"global_pool", "mean", {{"x", {1, 2, 2, 2}, false, {1, 2, 3, 6, -1, 1, -1, 1}}}, kPool};
  pool.mode = Mode::kTraining;
  pool.shape = {1, 2};
  pool.result = {3, 0};
  pool.upstream = {4, -8};
  pool.gradients = {{"x/value", {1, 1, 1, 1, -2, -2, -2, -2}}};

  // An image is taken in the order channels, height, width, whatever its layout in memory.
  SemanticCase order{"linear", "order", {{"x", {1, 2, 1, 3}, false, {1, 2, 3, 4, 5, 6}}}, linear("features = 1")};
  order.state = {{"linear/weight", {1, 10, 100, 1000, 10000, 100000}}, {"linear/bias", {0.5}}};
  order.mode = Mode::kTraining;
  order.shape = {1, 1};
  order.result = {654321.5};
  order.upstream = {2};
  order.gradients = {
      {"x/value", {2, 20, 200, 2000, 20000, 200000}}, {"linear/weight", {2, 4, 6, 8, 10, 12}}, {"linear/bias", {2}}};

  // Softmax of (0, ln 3) is (1/4, 3/4).
  SemanticCase loss{
      "softmax_cross_entropy", "quarters", {{"x", {2, 2}, true, {0, std::log(3.0), 0, std::log(3.0)}}}, {}};
  loss.layers = kLoss;
  loss.labels = {0, 1};
  loss.mode = Mode::kTraining;
  loss.shape = {2, 2};
  loss.result = {0, std::log(3.0), 0, std::log(3.0)};  // the network's answer is the loss's source
  loss.gradients = {{"x/value", {(0.25 - 1) / 2, 0.75 / 2, 0.25 / 2, (0.75 - 1) / 2}}};

  SemanticCase smooth = loss;  // targets (7/8, 1/8) and (1/8, 7/8)
  smooth.name = "quarters_smoothed";
  smooth.layers = kLoss + "label_smoothing = 0.25\n";
  smooth.gradients = {{"x/value", {(0.25 - 0.875) / 2, (0.75 - 0.125) / 2, (0.25 - 0.125) / 2, (0.75 - 0.875) / 2}}};

  SemanticCase weighted = loss;
  weighted.name = "quarters_weighted";
  weighted.layers = kLoss + "class_weights = 2, 4\n";
  weighted.gradients = {{"x/value", {2 * (0.25 - 1) / 2, 2 * 0.75 / 2, 4 * 0.25 / 2, 4 * (0.75 - 1) / 2}}};

  // Logits far apart must not overflow.
  SemanticCase far = loss;
  far.name = "far_apart";
  far.sources[0].values = {1000, -1000, 500, 499};
  far.result = {1000, -1000, 500, 499};
  far.labels = {1, 0};
  const double e = std::exp(-1.0), p = 1 / (1 + e);
  far.gradients = {{"x/value", {0.5, -0.5, (p - 1) / 2, (1 - p) / 2}}};
  return {pool, order, loss, smooth, weighted, far};
}

INSTANTIATE_TEST_SUITE_P(Classifier, LayerCases, ::testing::ValuesIn(classifier_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Classifier, SemanticCases, ::testing::ValuesIn(classifier_semantics()), case_name);

}  // namespace
}  // namespace sluice
