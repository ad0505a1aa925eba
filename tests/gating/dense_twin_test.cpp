// The dense twin of a gated network.
#include "core/graph/dense_twin.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/graph/network.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

const char* const kText = R"([network]
input = 4x8x8
[layer.first]
type = cg_conv
channels = 8
kernel = 3
pad = 1
stride = 2
partitions = 2
two_norms = no
[layer.second]
type = pg_conv
from = first
channels = 8
kernel = 1
weight_bits = 8
activation_bits = 4
prediction_bits = 2
[layer.plain]
type = conv
channels = 8
kernel = 1
bias = yes
[gating_loss]
target = 1
)";

struct Fixture {
  Fixture() : config(Config::parse(kText, "net.ini")) {
    register_gated_types(registry);
    network = std::make_unique<Network>(config, registry);
    config.check();
  }
  Registry registry;
  Config config;
  std::unique_ptr<Network> network;
};

TEST(DenseTwin, HasPlainLayersOfTheSameShapes) {
  const Fixture gated;
  EXPECT_TRUE(has_dense_twin(gated.config, gated.registry));
  Config config = dense_twin(gated.config, gated.registry);
  EXPECT_FALSE(has_dense_twin(config, gated.registry));
  const Network twin(config, gated.registry);
  config.check();  // no key is left that a dense type does not know
  ASSERT_EQ(twin.nodes().size(), gated.network->nodes().size());
  const std::vector<std::string> types = {"conv", "quantized_conv", "conv"};
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Node &plain = twin.nodes()[i], &node = gated.network->nodes()[i];
    EXPECT_EQ(plain.name, node.name);
    EXPECT_EQ(plain.type, types[i]);
    EXPECT_EQ(plain.declared.dst, node.declared.dst);
  }
  EXPECT_EQ(twin.macs(), gated.network->macs());
  EXPECT_TRUE(twin.auxiliary_losses().empty());
  EXPECT_EQ(gated.network->auxiliary_losses().size(), 1U);
}

/// A gate on whole channels, whose saliency comes from elsewhere and which is read twice, and a product that is no
/// gate.
const char* const kChannels = R"([network]
input = 4x8x8
[layer.before]
type = conv
channels = 6
kernel = 1
[layer.middle]
type = conv
channels = 8
kernel = 1
[layer.relu]
type = relu
[layer.gate]
type = channel_gate
from = relu, before
[layer.after]
type = conv
channels = 8
kernel = 1
[layer.pool]
type = global_pool
[layer.factors]
type = sigmoid
[layer.scaled]
type = multiply
from = after, factors
[layer.sum]
type = add
from = scaled, gate
)";

TEST(DenseTwin, LeavesOutGatesOfWholeChannels) {
  Registry registry;
  register_gated_types(registry);
  Config config = Config::parse(kChannels, "net.ini");
  const Network gated(config, registry);
  config.check();
  EXPECT_TRUE(has_dense_twin(config, registry));
  Config dense = dense_twin(config, registry);
  EXPECT_FALSE(has_dense_twin(dense, registry));
  const Network twin(dense, registry);
  dense.check();
  std::vector<std::string> layers;
  for (const Node& node : twin.nodes()) {
    std::string text = node.name + ":";
    for (const NodeResult& source : node.src) text += " " + twin.name(source);
    layers.push_back(text);
  }
  EXPECT_EQ(layers,
            (std::vector<std::string>{"before: data", "middle: before", "relu: middle", "after: relu", "pool: after",
                                      "factors: pool", "scaled: after factors", "sum: scaled relu"}));
}

TEST(DenseTwin, ATypeHasOne) {
  Fixture fixture;
  EXPECT_EQ(fixture.registry.dense_type("cg_conv"), "conv");
  EXPECT_EQ(fixture.registry.dense_type("conv"), "");
  EXPECT_THROW(fixture.registry.add_dense_type("cg_conv", "linear"), Error);
}

}  // namespace
}  // namespace sluice
