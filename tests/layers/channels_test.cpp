// concat, split, channel_shuffle and flatten: any number of sources, block boundaries that do not meet, both layouts.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string layer(const std::string& type, const std::string& keys = "") {
  return "[layer." + type + "]\ntype = " + type + "\n" + keys;
}

std::vector<LayerCase> channel_cases() {
  const std::string abc = layer("concat", "from = a, b, c");
  const auto images = [](std::int64_t a, std::int64_t b, std::int64_t c) -> std::vector<CaseSource> {
    return {{"a", {2, a, 3, 5}}, {"b", {2, b, 3, 5}}, {"c", {2, c, 3, 5}}};
  };
  const std::string through_bn = "[layer.bn]\ntype = batchnorm\n[layer.relu]\ntype = relu\nfrom = x\n" +
                                 layer("concat", "from = bn, x, relu") + "\n[layer.after]\ntype = relu\n";
  const std::string both = "[layer.join]\ntype = concat\nfrom = split:second, split\n";
  const std::string four =
      "[layer.join]\ntype = concat\nfrom = split:fourth, split, split:third, split:second, split\n";
  const std::string shuffle_unit = layer("split") +
                                   "[layer.conv]\ntype = conv\nchannels = 16\nkernel = 3\npad = 1\nfrom = "
                                   "split:second\n" +
                                   layer("concat", "from = split, conv\n") + layer("channel_shuffle");
  return {
      {"concat", "odd", images(3, 5, 1), abc},
      {"concat", "blocks", images(16, 32, 48), abc},
      {"concat", "into_blocks", images(8, 3, 21), abc},     // 32 channels, no boundary on a block's
      {"concat", "across_blocks", images(16, 24, 8), abc},  // a block ends within a source
      {"concat", "out_of_blocks", images(32, 16, 5), abc},  // blocked sources, 53 channels
      {"concat", "one_source", {{"x", {2, 18, 3, 2}}}, layer("concat")},
      {"concat", "itself", {{"x", {2, 17, 3, 2}}}, layer("concat", "from = x, x")},
      {"concat", "with_data", {{"data", {2, 3, 4, 5}}, {"a", {2, 29, 4, 5}}}, layer("concat", "from = data, a")},
      {"concat", "rows", {{"a", {3, 4}, true}, {"b", {3, 7}, true}}, layer("concat", "from = a, b")},
      {"concat", "in_a_network", {{"x", {3, 16, 4, 3}}}, through_bn},
      {"split", "odd", {{"x", {2, 6, 3, 5}}}, layer("split") + both},
      {"split", "blocks", {{"x", {2, 64, 3, 5}}}, layer("split") + both},
      {"split", "out_of_blocks", {{"x", {2, 48, 3, 5}}}, layer("split", "parts = 4\n") + four},
      {"split",
       "into_blocks",
       {{"x", {2, 32, 3, 5}}},
       layer("split") + "[layer.bn]\ntype = batchnorm\n[layer.join]\ntype = concat\nfrom = split:second, bn\n"},
      {"split", "first_alone", {{"x", {2, 18, 3, 2}}}, layer("split") + "[layer.relu]\ntype = relu\nfrom = split\n"},
      {"split",
       "second_alone",
       {{"x", {2, 32, 3, 2}}},
       layer("split") + "[layer.relu]\ntype = relu\nfrom = split:second\n"},
      {"split", "rows", {{"x", {3, 12}, true}}, layer("split", "parts = 4\n") + four},
      {"split", "in_a_network", {{"x", {2, 32, 4, 3}}}, shuffle_unit},
      {"channel_shuffle", "odd", {{"x", {2, 6, 3, 5}}}, layer("channel_shuffle", "groups = 3\n")},
      {"channel_shuffle", "blocks", {{"x", {2, 48, 3, 5}}}, layer("channel_shuffle")},
      {"channel_shuffle", "each_its_own", {{"x", {2, 16, 3, 5}}}, layer("channel_shuffle", "groups = 16\n")},
      {"channel_shuffle",
       "in_a_network",
       {{"x", {2, 32, 4, 3}}},
       layer("batchnorm") + layer("channel_shuffle", "groups = 4\n") + layer("relu")},
      {"flatten", "odd", {{"x", {2, 3, 5, 7}}}, layer("flatten")},
      {"flatten", "blocks", {{"x", {3, 48, 5, 4}}}, layer("flatten")},
      {"flatten", "tail", {{"x", {2, 37, 3, 7}}}, layer("flatten")},
      {"flatten", "one_pixel", {{"x", {3, 32, 1, 1}}}, layer("flatten")},
      {"flatten", "rows", {{"x", {3, 11}, true}}, layer("flatten")},
      {"flatten",
       "of_data",
       {{"data", {2, 3, 4, 5}}, {"b", {2, 7}, true}},
       layer("flatten", "from = data\n") + layer("concat", "from = flatten, b")},
      {"flatten",
       "before_linear",
       {{"x", {2, 16, 3, 2}}},
       layer("flatten") + "\n[layer.fc]\ntype = linear\nfeatures = 5"},
  };
}

std::vector<SemanticCase> channel_semantics() {
  SemanticCase joined{
      "concat",
      "order",
      {{"a", {2, 1, 1, 2}, false, {1, 2, 3, 4}}, {"b", {2, 2, 1, 2}, false, {5, 6, 7, 8, 9, 10, 11, 12}}},
      layer("concat", "from = b, a")};
  joined.mode = Mode::kTraining;
  joined.shape = {2, 3, 1, 2};
  joined.result = {5, 6, 7, 8, 1, 2, 9, 10, 11, 12, 3, 4};
  joined.upstream = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  joined.gradients = {{"b/value", {0, 1, 2, 3, 6, 7, 8, 9}}, {"a/value", {4, 5, 10, 11}}};

  SemanticCase parts{"split",
                     "order",
                     {{"x", {1, 4, 1, 2}, false, {1, 2, 3, 4, 5, 6, 7, 8}}},
                     layer("split") + "[layer.join]\ntype = concat\nfrom = split:second, split\n"};
  parts.mode = Mode::kTraining;
  parts.shape = {1, 4, 1, 2};
  parts.result = {5, 6, 7, 8, 1, 2, 3, 4};
  parts.upstream = {1, 2, 3, 4, 5, 6, 7, 8};
  parts.gradients = {{"x/value", {5, 6, 7, 8, 1, 2, 3, 4}}};

  SemanticCase shuffled{"channel_shuffle",
                        "order",
                        {{"x", {1, 6, 1, 1}, false, {1, 2, 3, 4, 5, 6}}},
                        layer("channel_shuffle", "groups = 2\n")};
  shuffled.mode = Mode::kTraining;
  shuffled.shape = {1, 6, 1, 1};
  shuffled.result = {1, 4, 2, 5, 3, 6};
  shuffled.upstream = {1, 2, 3, 4, 5, 6};
  shuffled.gradients = {{"x/value", {1, 3, 5, 2, 4, 6}}};

  SemanticCase flat{"flatten", "order", {{"x", {1, 2, 2, 2}, false, {1, 2, 3, 4, 5, 6, 7, 8}}}, layer("flatten")};
  flat.mode = Mode::kTraining;
  flat.shape = {1, 8};
  flat.result = {1, 2, 3, 4, 5, 6, 7, 8};
  flat.upstream = {8, 7, 6, 5, 4, 3, 2, 1};
  flat.gradients = {{"x/value", {8, 7, 6, 5, 4, 3, 2, 1}}};
  return {joined, parts, shuffled, flat};
}

INSTANTIATE_TEST_SUITE_P(Channels, LayerCases, ::testing::ValuesIn(channel_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Channels, SemanticCases, ::testing::ValuesIn(channel_semantics()), case_name);

}  // namespace
}  // namespace sluice
