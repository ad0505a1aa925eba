// Zeros around an image: each side, both layouts, and what neighbours make of it.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string pad(const std::string& keys) {
  return "[layer.pad]\ntype = zero_pad\n" + keys;
}

std::vector<LayerCase> zero_pad_cases() {
  const Shape odd{2, 3, 5, 7};
  const std::string behind = "bottom = 1\nright = 1\n";
  return {
      {"zero_pad", "behind", {{"x", odd}}, pad(behind)},
      {"zero_pad", "all_sides", {{"x", odd}}, pad("top = 1\nleft = 2\nbottom = 3\nright = 4\n")},
      {"zero_pad", "nothing", {{"x", odd}}, pad("")},
      {"zero_pad", "blocks", {{"x", {2, 32, 4, 3}}}, pad("top = 2\nright = 1\n")},
      {"zero_pad",
       "between_convolutions",
       {{"x", {2, 16, 5, 7}}},
       "[layer.first]\ntype = conv\nchannels = 16\nkernel = 1\n[layer.relu]\ntype = relu\n" + pad(behind) +
           "[layer.conv]\ntype = conv\nchannels = 16\nkernel = 3\nstride = 2\ngroups = 16\n[layer.bn]\n"
           "type = batchnorm\n"},
  };
}

std::vector<SemanticCase> zero_pad_semantics() {
  SemanticCase padded{"zero_pad", "sides", {{"x", {1, 1, 2, 2}, false, {1, 2, 3, 4}}}, {}};
  padded.layers = pad("top = 1\nleft = 2\nright = 1\n");
  padded.mode = Mode::kTraining;
  padded.shape = {1, 1, 3, 5};
  padded.result = {0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3, 4, 0};
  padded.upstream = {9, 9, 9, 9, 9, 9, 9, 5, 6, 9, 9, 9, 7, 8, 9};
  padded.gradients = {{"x/value", {5, 6, 7, 8}}};
  return {padded};
}

INSTANTIATE_TEST_SUITE_P(ZeroPad, LayerCases, ::testing::ValuesIn(zero_pad_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(ZeroPad, SemanticCases, ::testing::ValuesIn(zero_pad_semantics()), case_name);

}  // namespace
}  // namespace sluice
