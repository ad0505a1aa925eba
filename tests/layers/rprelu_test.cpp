// rprelu: on either side of its bend, in every layout.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

const char* const kLayer = "[layer.rprelu]\ntype = rprelu\n";

std::vector<LayerCase> rprelu_cases() {
  return {
      {"rprelu", "odd", {{"x", {2, 3, 5, 7}}}, kLayer},
      {"rprelu", "blocks", {{"x", {3, 32, 5, 3}}}, kLayer},
      {"rprelu", "tail", {{"x", {2, 21, 3, 4}}}, kLayer},
      {"rprelu", "of_data", {{"data", {2, 3, 5, 7}}}, kLayer},
      {"rprelu",
       "behind_a_norm",
       {{"x", {2, 16, 4, 5}}},
       std::string("[layer.bn]\ntype = batchnorm\n") + kLayer + "[layer.add]\ntype = add\nfrom = rprelu, x\n"},
  };
}

std::vector<SemanticCase> rprelu_semantics() {
  SemanticCase bend{"rprelu", "bend", {{"x", {1, 2, 1, 3}, false, {0, 1, 2, -1, 0, 5}}}, kLayer};
  bend.mode = Mode::kTraining;
  bend.state = {{"rprelu/shift_x", {-1, 0.5}}, {"rprelu/weight", {0.5, -2}}, {"rprelu/shift_y", {10, 20}}};
  bend.shape = {1, 2, 1, 3};
  bend.result = {9.5, 10, 11, 21, 20.5, 25.5};  // z: -1, 0, 1 and -0.5, 0.5, 5.5
  bend.upstream = {1, 2, 4, 8, 16, 32};
  bend.gradients = {{"x/value", {0.5, 1, 4, -16, 16, 32}},
                    {"rprelu/shift_x", {5.5, 32}},
                    {"rprelu/weight", {-1, -4}},
                    {"rprelu/shift_y", {7, 56}}};
  SemanticCase fresh{"rprelu", "fresh", {{"x", {1, 1, 1, 2}, false, {-4, 4}}}, kLayer};
  fresh.layers += "init = 0.125\n";
  fresh.state = {{"rprelu/shift_x", {0}}, {"rprelu/shift_y", {0}}};
  fresh.shape = {1, 1, 1, 2};
  fresh.result = {-0.5, 4};
  return {bend, fresh};
}

INSTANTIATE_TEST_SUITE_P(RPRelu, LayerCases, ::testing::ValuesIn(rprelu_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(RPRelu, SemanticCases, ::testing::ValuesIn(rprelu_semantics()), case_name);

}  // namespace
}  // namespace sluice
