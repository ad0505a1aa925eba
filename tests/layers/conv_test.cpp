// Convolution: geometry of every kind against the reference, and what inference folds into it.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string conv(const std::string& keys) {
  return "[layer.conv]\ntype = conv\n" + keys;
}

std::vector<LayerCase> conv_cases() {
  const Shape odd{2, 3, 5, 7};
  std::vector<LayerCase> cases = {
      {"conv", "odd", {{"x", odd}}, conv("channels = 4\nkernel = 3\nstride = 2\npad = 1")},
      {"conv", "bias", {{"x", odd}}, conv("channels = 5\nkernel = 3\nbias = yes")},
      {"conv", "dilation", {{"x", {2, 3, 9, 8}}}, conv("channels = 4\nkernel = 3\npad = 2\ndilation = 2\nstride = 2")},
      {"conv", "groups", {{"x", {2, 6, 5, 7}}}, conv("channels = 4\nkernel = 3\npad = 1\ngroups = 2\nbias = yes")},
      {"conv", "depthwise", {{"x", {2, 5, 6, 7}}}, conv("channels = 5\nkernel = 3\npad = 1\ngroups = 5\nstride = 2")},
      {"conv",
       "depthwise_small",
       {{"x", {3, 20, 2, 2}}},
       conv("channels = 20\nkernel = 3\npad = 1\ngroups = 20\nbias = yes")},
      {"conv",
       "depthwise_small_blocks",
       {{"x", {2, 48, 2, 2}}},
       conv("channels = 48\nkernel = 3\npad = 1\ngroups = 48\nbias = yes")},
      {"conv",
       "depthwise_flat",
       {{"x", {2, 32, 1, 7}}},
       conv("channels = 32\nkernel = 3\npad = 1\nstride = 2\ngroups = 32")},
      {"conv",
       "depthwise_dilation",
       {{"x", {2, 18, 5, 4}}},
       conv("channels = 18\nkernel = 3\npad = 3\ndilation = 3\ngroups = 18")},
      {"conv",
       "depthwise_pad",
       {{"x", {2, 16, 3, 2}}},
       conv("channels = 16\nkernel = 5\npad = 4\nstride = 3\ngroups = 16")},
      {"conv", "depthwise_16", {{"x", {2, 32, 6, 7}}}, conv("channels = 32\nkernel = 3\npad = 1\ngroups = 32")},
      {"conv", "pointwise", {{"x", {2, 7, 5, 3}}}, conv("channels = 9\nkernel = 1")},
      {"conv", "pointwise_stride", {{"x", {3, 16, 5, 7}}}, conv("channels = 32\nkernel = 1\nstride = 2")},
      {"conv", "large_filter", {{"x", {2, 2, 7, 9}}}, conv("channels = 3\nkernel = 5\npad = 3\nstride = 3")},
      {"conv", "sixteen", {{"x", {2, 16, 6, 5}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "blocks", {{"x", {2, 32, 4, 5}}}, conv("channels = 48\nkernel = 3\npad = 1\nstride = 2\nbias = yes")},
      {"conv",
       "blocks_stride",
       {{"x", {3, 32, 9, 6}}},
       conv("channels = 64\nkernel = 3\npad = 1\nstride = 2\nbias = yes")},
      {"conv", "from_sixteen_stride", {{"x", {2, 16, 7, 5}}}, conv("channels = 32\nkernel = 3\npad = 1\nstride = 2")},
      {"conv", "winograd", {{"x", {2, 32, 7, 5}}}, conv("channels = 32\nkernel = 3\npad = 1")},
      {"conv", "winograd_whole_tiles", {{"x", {3, 16, 8, 12}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "winograd_16_to_32", {{"x", {3, 16, 11, 7}}}, conv("channels = 32\nkernel = 3\npad = 1")},
      {"conv", "winograd_32_to_16", {{"x", {5, 32, 6, 15}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "winograd_one_tile", {{"x", {11, 16, 4, 4}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "winograd_low", {{"x", {3, 16, 3, 23}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "winograd_48_to_64", {{"x", {1, 48, 7, 9}}}, conv("channels = 64\nkernel = 3\npad = 1")},
      {"conv", "winograd_bias", {{"x", {2, 32, 5, 7}}}, conv("channels = 48\nkernel = 3\npad = 1\nbias = yes")},
      {"conv", "one_pixel", {{"x", {3, 16, 1, 1}}}, conv("channels = 16\nkernel = 3\npad = 1")},
      {"conv", "tail", {{"x", {2, 17, 4, 5}}}, conv("channels = 33\nkernel = 3\npad = 1")},
      {"conv", "from_tail_to_blocks", {{"x", {2, 3, 8, 7}}}, conv("channels = 32\nkernel = 3\npad = 1")},
      {"conv", "first_layer", {{"data", odd}}, conv("channels = 16\nkernel = 3\npad = 1\nbias = yes")},
  };
  LayerCase wide{"conv", "winograd_wide", {{"x", {4, 80, 7, 5}}}, conv("channels = 96\nkernel = 3\npad = 1")};
  wide.composed = true;  // too much work for differences
  cases.push_back(wide);
  return cases;
}

std::vector<SemanticCase> conv_semantics() {
  // One filter that takes the pixel to the left of the centre plus ten times the centre.
  SemanticCase taps{"conv",
                    "taps",
                    {{"x", {1, 1, 2, 3}, false, {1, 2, 3, 4, 5, 6}}},
                    conv("channels = 1\nkernel = 3\npad = 1\nbias = yes")};
  taps.state = {{"conv/weight", {0, 0, 0, 1, 10, 0, 0, 0, 0}}, {"conv/bias", {0.5}}};
  taps.shape = {1, 1, 2, 3};
  taps.result = {10.5, 21.5, 32.5, 40.5, 54.5, 65.5};

  SemanticCase training = taps;
  training.name = "taps_training";
  training.mode = Mode::kTraining;
  training.upstream = {1, 0, 0, 0, 0, 2};
  training.gradients = {{"x/value", {10, 0, 0, 0, 2, 20}},
                        // weight[k][l] collects x[p + k - 1][q + l - 1] for upstream 1 at (0, 0) and 2 at (1, 2).
                        {"conv/weight", {2 * 2, 2 * 3, 0, 2 * 5, 1 + 2 * 6, 2, 0, 4, 5}},
                        {"conv/bias", {3}}};
  return {taps, training};
}

INSTANTIATE_TEST_SUITE_P(Conv, LayerCases, ::testing::ValuesIn(conv_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Conv, SemanticCases, ::testing::ValuesIn(conv_semantics()), case_name);

}  // namespace
}  // namespace sluice
