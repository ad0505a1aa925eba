// The shortcut of a residual block: identity, padding with zero channels, projection.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string pad(const std::string& keys) {
  return "[layer.pad]\ntype = pad_shortcut\n" + keys;
}

std::string shortcut(const std::string& keys) {
  return "[layer.shortcut]\ntype = shortcut\n" + keys;
}

std::vector<LayerCase> shortcut_cases() {
  const Shape odd{2, 3, 5, 7};
  return {
      {"pad_shortcut", "odd", {{"x", odd}}, pad("channels = 9\nstride = 2")},
      {"pad_shortcut", "stride_3", {{"x", {2, 2, 8, 7}}}, pad("channels = 4\nstride = 3")},
      {"pad_shortcut", "channels_only", {{"x", odd}}, pad("channels = 5")},
      {"pad_shortcut", "stride_only", {{"x", {3, 16, 6, 5}}}, pad("channels = 16\nstride = 2")},
      {"pad_shortcut", "half_a_block", {{"x", {2, 16, 4, 5}}}, pad("channels = 32\nstride = 2")},
      {"pad_shortcut", "a_block", {{"x", {2, 32, 4, 5}}}, pad("channels = 64\nstride = 2")},
      {"pad_shortcut", "across_blocks", {{"x", {2, 32, 4, 3}}}, pad("channels = 48\nstride = 2")},
      {"pad_shortcut", "into_blocks", {{"x", {2, 6, 4, 3}}}, pad("channels = 32")},
      {"pad_shortcut", "out_of_blocks", {{"x", {2, 16, 4, 3}}}, pad("channels = 18")},
      {"shortcut", "pad", {{"x", odd}}, shortcut("channels = 9\nstride = 2\nkind = pad")},
      {"shortcut", "projection", {{"x", odd}}, shortcut("channels = 4\nstride = 2\nkind = projection")},
      {"shortcut", "projection_blocks", {{"x", {2, 16, 4, 5}}}, shortcut("channels = 32\nkind = projection")},
      {"shortcut", "repeat", {{"x", odd}}, shortcut("channels = 9\nstride = 2\nkind = repeat")},
      {"shortcut", "repeat_blocks", {{"x", {2, 16, 4, 6}}}, shortcut("channels = 32\nstride = 2\nkind = repeat")},
      {"shortcut", "repeat_channels_only", {{"x", odd}}, shortcut("channels = 6\nkind = repeat")},
      {"shortcut", "repeat_means_only", {{"x", odd}}, shortcut("channels = 3\nstride = 3\nkind = repeat")},
      {"shortcut", "identity", {{"x", odd}}, shortcut("channels = 3") + "\n[layer.relu]\ntype = relu\n"},
  };
}

std::vector<SemanticCase> shortcut_semantics() {
  SemanticCase padded{"pad_shortcut", "corners", {{"x", {1, 1, 3, 3}, false, {1, 2, 3, 4, 5, 6, 7, 8, 9}}}, {}};
  padded.layers = pad("channels = 3\nstride = 2");
  padded.mode = Mode::kTraining;
  padded.shape = {1, 3, 2, 2};
  padded.result = {0, 0, 0, 0, 1, 3, 7, 9, 0, 0, 0, 0};
  padded.upstream = {9, 9, 9, 9, 1, 2, 3, 4, 9, 9, 9, 9};
  padded.gradients = {{"x/value", {1, 0, 2, 0, 0, 0, 3, 0, 4}}};

  SemanticCase composite = padded;
  composite.type = "shortcut";
  composite.name = "pads";
  composite.layers = shortcut("channels = 3\nstride = 2");

  SemanticCase projected{"shortcut", "projects", {{"x", {1, 2, 1, 2}, false, {1, 2, 3, 4}}}, {}};
  projected.layers = shortcut("channels = 1\nstride = 2\nkind = projection");
  projected.state = {{"shortcut.0/weight", {10, 1}},
                     {"shortcut.1/weight", {2}},
                     {"shortcut.1/bias", {0.5}},
                     {"shortcut.1/running_mean", {3}},
                     {"shortcut.1/running_var", {4 - 1e-5}}};
  projected.shape = {1, 1, 1, 1};
  projected.result = {(10 * 1 + 1 * 3 - 3) / 2.0 * 2 + 0.5};

  SemanticCase repeated{"shortcut", "repeats", {{"x", {1, 1, 3, 3}, false, {1, 2, 3, 4, 5, 6, 7, 8, 9}}}, {}};
  repeated.layers = shortcut("channels = 2\nstride = 2\nkind = repeat");
  repeated.mode = Mode::kTraining;
  repeated.shape = {1, 2, 2, 2};
  repeated.result = {3, 4.5, 7.5, 9, 3, 4.5, 7.5, 9};  // windows at the edge have fewer pixels
  repeated.upstream = {4, 2, 6, 1, 8, 4, 10, 2};
  repeated.gradients = {{"x/value", {3, 3, 3, 3, 3, 3, 8, 8, 3}}};
  return {padded, composite, projected, repeated};
}

INSTANTIATE_TEST_SUITE_P(Shortcut, LayerCases, ::testing::ValuesIn(shortcut_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Shortcut, SemanticCases, ::testing::ValuesIn(shortcut_semantics()), case_name);

}  // namespace
}  // namespace sluice
