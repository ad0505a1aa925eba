// pact_relu: bounds of its own and shared ones.
#include <limits>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string pact(const std::string& name, const std::string& keys = "") {
  return "[layer." + name + "]\ntype = pact_relu\n" + keys + "\n";
}

/// A bound in the middle of the drawn values, which bf16 cannot hold: none of its values equals it.
void lower_bounds(Network& network, const CaseBatch&) {
  for (const Parameter& p : network.parameters()) {
    if (p.name == "upper_bound") network.parameter_data()[p.offset] = 0.7F;
  }
}

std::vector<LayerCase> pact_cases() {
  const Shape odd{2, 3, 5, 7};
  const std::string in_a_block = pact("relu") + "[layer.conv]\ntype = conv\nchannels = 5\nkernel = 3\npad = 1\n" +
                                 "[layer.bn]\ntype = batchnorm\n" + pact("relu2", "share = relu");
  std::vector<LayerCase> cases = {
      {"pact_relu", "odd", {{"x", odd}}, pact("relu")},
      {"pact_relu", "blocks", {{"x", {3, 32, 5, 3}}}, pact("relu")},
      {"pact_relu", "vector", {{"x", {3, 11}, true}}, pact("relu")},
      {"pact_relu", "chunks", {{"x", {2, 33, 17, 19}}}, pact("relu")},  // several partial sums, the last one odd
      {"pact_relu", "of_data", {{"data", odd}}, pact("relu")},
      {"pact_relu", "shared", {{"x", odd}}, in_a_block},
      {"pact_relu",
       "shared_by_three",
       {{"x", {2, 16, 3, 3}}},
       pact("a") + pact("b", "share = a\nfrom = x") + pact("c", "share = b\nfrom = x") +
           "[layer.add]\ntype = add\nfrom = a, b\n[layer.sum]\ntype = add\nfrom = add, c\n"},
  };
  for (LayerCase& c : cases) c.prepare = lower_bounds;
  return cases;
}

std::vector<SemanticCase> pact_semantics() {
  const double inf = std::numeric_limits<double>::infinity();
  SemanticCase bounds{"pact_relu", "at_bounds", {{"x", {1, 7}, true, {-inf, -1, 0, 3, 6, 6.5, inf}}}, pact("relu")};
  bounds.mode = Mode::kTraining;
  bounds.shape = {1, 7};
  bounds.result = {0, 0, 0, 3, 6, 6, 6};  // the bound starts at 6
  bounds.upstream = {1, 2, 4, 8, 16, 32, 64};
  bounds.gradients = {{"x/value", {0, 0, 4, 8, 16, 0, 0}}, {"relu/upper_bound", {96}}};

  SemanticCase shared{"pact_relu", "shared", {{"x", {1, 2}, true, {1, 3}}}, {}};
  shared.layers = pact("a", "init = 2") + pact("b", "share = a");
  shared.mode = Mode::kTraining;
  shared.shape = {1, 2};
  shared.result = {1, 2};
  shared.upstream = {5, 7};
  shared.gradients = {{"x/value", {5, 0}}, {"a/upper_bound", {7}}};  // b sees 2 <= 2: all of it goes to a
  return {bounds, shared};
}

INSTANTIATE_TEST_SUITE_P(Pact, LayerCases, ::testing::ValuesIn(pact_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Pact, SemanticCases, ::testing::ValuesIn(pact_semantics()), case_name);

}  // namespace
}  // namespace sluice
