// Every layer can be written in PyTorch; what is written is compared with it in tests/exchange.
#include "gating/torch.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "core/base/error.hpp"
#include "core/graph/registry.hpp"
#include "layers/torch.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

TorchLayers all_layers() {
  TorchLayers layers;
  register_torch_layers(layers);
  register_gated_torch_layers(layers);
  return layers;
}

TEST(TorchLayers, KnowEveryKindButLosses) {
  Registry registry;
  register_gated_types(registry);
  const TorchLayers layers = all_layers();
  for (const std::string& type : registry.types()) {
    if (!registry.is_layer(type)) continue;
    Keys documenting;
    const std::string kind = registry.make(type, documenting)->attributes().kind();
    EXPECT_EQ(layers.knows(kind), kind != "softmax_cross_entropy") << type;
  }
}

TEST(TorchLayers, OfAnotherKindAreNamed) {
  Registry registry;
  register_gated_types(registry);
  Config config = Config::parse("[network]\ninput = 3x4x4\n[layer.r]\ntype = relu\n", "net.ini");
  const Network network(config, registry);
  const Node& node = network.nodes()[0];
  try {
    TorchLayers().write({network, node, node.layer->attributes(), {}, {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(
        error.what(),
        "net.ini:4: [layer.r] type: layers of type relu cannot be written in PyTorch; export the weights alone "
        "(-o weights.h5)");
  }
}

TEST(TorchLayers, NumbersAreWrittenAsPythonReadsThem) {
  EXPECT_EQ(torch_text(0.1), "0.1");
  EXPECT_EQ(torch_text(static_cast<double>(0.01F)), "0.01");
  EXPECT_EQ(torch_text(2.0), "2.0");
  EXPECT_EQ(torch_text(-std::numeric_limits<double>::infinity()), "float(\"-inf\")");
  EXPECT_EQ(torch_text(true), "True");
  EXPECT_EQ(torch_text(std::int64_t{16}), "16");
}

}  // namespace
}  // namespace sluice
