// Chains and graphs of layers: what the executor fuses and folds, fan-out, shared parameters, several losses.
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

const std::string kNorm = "[layer.bn]\ntype = batchnorm\n";
const std::string kRelu = "[layer.relu]\ntype = relu\n";

std::string conv(const std::string& name, const std::string& channels, const std::string& more = "") {
  return "[layer." + name + "]\ntype = conv\nkernel = 3\npad = 1\nchannels = " + channels + "\n" + more;
}

std::string add(const std::string& from) {
  return "[layer.add]\ntype = add\nfrom = " + from + "\n";
}

/// What training fuses with batch normalisation, inference folds into the convolution.
std::vector<LayerCase> folded_chains(const Shape& shape, const std::string& channels, const std::string& suffix) {
  const std::string first = conv("conv", channels);
  std::vector<CaseSource> one = {{"x", shape}}, two = {{"other", shape}, {"x", shape}};
  std::vector<LayerCase> cases = {
      {"conv", "bn_relu", one, first + kNorm + kRelu},
      {"conv", "bias_relu", one, conv("conv", channels, "bias = yes\n") + kRelu},
      {"conv", "bn_add_relu", two, first + kNorm + add("bn, other") + kRelu},
      {"conv", "bn_add_from_behind", two, first + kNorm + add("other, bn") + kRelu},
      {"conv", "bn_relu_add", two, first + kNorm + kRelu + add("relu, other")},
      {"conv", "bn_clip", one, first + kNorm + "[layer.clip]\ntype = clip\nlow = -0.5\nhigh = 0.5\n"},
      {"conv", "add_bn", two, first + add("conv, other") + kNorm},
      {"conv", "relu_bn", one, first + kRelu + kNorm},
      {"conv", "bn_bn", one, first + kNorm + "[layer.bn2]\ntype = batchnorm\n" + kRelu},
      {"conv", "plus_its_source", one, first + add("conv, x")},
      {"conv", "bn_plus_its_source", one, first + kNorm + add("bn, x") + kRelu},
  };
  for (LayerCase& c : cases) {
    c.inference_only = c.name == "bn_bn";
    c.name += suffix;
    c.tolerance = 5e-6;           // relative to results after the clip
    c.bf16_tolerance = 1.0 / 32;  // folded weights are rounded too
  }
  return cases;
}

std::vector<LayerCase> graph_cases() {
  const Shape odd{2, 3, 5, 7}, blocks{2, 16, 4, 5};
  // A result with two users, then three: the executor sums their gradients.
  const std::string two_users = conv("a", "3") + conv("b", "3", "from = a\n") + add("a, b");
  const std::string three_users = conv("a", "3") + kNorm + conv("b", "3", "from = bn\n") + kRelu +
                                  "[layer.sum]\ntype = add\nfrom = bn, b\n" + add("sum, relu");
  const std::string norm_users = kNorm + kRelu + conv("a", "3", "from = relu\n") + conv("b", "3", "from = relu\n") +
                                 "[layer.sum]\ntype = add\nfrom = a, b\n" + add("sum, relu");
  const std::string shared = conv("a", "3", "bias = yes\n") + kRelu + conv("b", "3", "bias = yes\nshare = a\n");
  const std::string shared_norm = kNorm + kRelu + "[layer.bn2]\ntype = batchnorm\nshare = bn\n";
  const std::string two_losses = conv("a", "4") + "[layer.loss1]\ntype = test_loss\n" + kRelu.substr(0, 13) +
                                 "type = relu\nfrom = a\n" + "[layer.loss2]\ntype = test_loss\n";
  const std::string side_branch = conv("a", "3") + conv("unused", "5") + "[layer.b]\ntype = relu\nfrom = a\n";
  // Backward of the first chain reads its result, which no layer behind it keeps.
  const std::string read_late = kNorm + add("bn, other") + kRelu + "[layer.sum]\ntype = add\nfrom = relu, other\n" +
                                "[layer.bn2]\ntype = batchnorm\n[layer.relu2]\ntype = relu\n";
  return {
      {"batchnorm", "result_read_late", {{"other", odd}, {"x", odd}}, read_late},
      {"conv", "two_users", {{"x", odd}}, two_users},
      {"conv", "three_users", {{"x", odd}}, three_users},
      {"batchnorm", "three_users", {{"x", odd}}, norm_users},
      {"conv", "shared", {{"x", odd}}, shared},
      {"batchnorm", "shared", {{"x", blocks}}, shared_norm},
      {"conv", "two_losses", {{"x", odd}}, two_losses},
      {"conv", "no_loss_behind", {{"x", odd}}, side_branch},
  };
}

/// Residual blocks as networks have them.
std::vector<LayerCase> block_cases() {
  const auto block = [](const std::string& channels, const std::string& shortcut_keys, bool postact) {
    const std::string body = conv("conv1", channels, "stride = 2\n") + "[layer.bn1]\ntype = batchnorm\n" +
                             "[layer.relu1]\ntype = relu\n" + conv("conv2", channels) +
                             "[layer.bn2]\ntype = batchnorm\n";
    const std::string shortcut =
        "[layer.shortcut]\ntype = shortcut\nfrom = x\nstride = 2\nchannels = " + channels + "\n" + shortcut_keys;
    if (!postact) return body + shortcut + add("bn2, shortcut") + kRelu;
    return body + "[layer.relu]\ntype = relu\nfrom = bn2\n" + shortcut + add("relu, shortcut");
  };
  const Shape odd{2, 3, 7, 5}, blocks{2, 16, 4, 6};
  std::vector<LayerCase> cases = {
      {"shortcut", "block_pad", {{"x", odd}}, block("5", "", false)},
      {"shortcut", "block_pad_blocks", {{"x", blocks}}, block("32", "", false)},
      {"shortcut", "block_projection", {{"x", odd}}, block("6", "kind = projection\n", false)},
      {"shortcut", "block_projection_blocks", {{"x", blocks}}, block("32", "kind = projection\n", false)},
      {"shortcut", "block_postact", {{"x", odd}}, block("5", "", true)},
      {"shortcut", "block_postact_blocks", {{"x", blocks}}, block("32", "kind = projection\n", true)},
  };
  for (LayerCase& c : cases) {
    c.tolerance = 5e-6;  // two convolutions and two normalisations deep
    c.bf16_tolerance = 1.0 / 32;
  }
  return cases;
}

std::vector<LayerCase> fusion_cases() {
  std::vector<LayerCase> cases = folded_chains({2, 3, 5, 7}, "3", "_odd");
  for (const auto& more : {folded_chains({2, 16, 3, 5}, "16", "_blocks"),
                           folded_chains({2, 32, 4, 5}, "32", "_winograd"), graph_cases(), block_cases()}) {
    cases.insert(cases.end(), more.begin(), more.end());
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Fusion, LayerCases, ::testing::ValuesIn(fusion_cases()), case_name);

}  // namespace
}  // namespace sluice
