// What layers say of themselves, without a cast and without their text.
#include <gtest/gtest.h>

#include "core/graph/network.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

TEST(Attributes, EveryStandardLayerSaysWhatItIs) {
  Registry registry;
  register_layers(registry);
  for (const std::string& type : registry.types()) {
    if (!registry.is_layer(type)) continue;
    Keys documenting;
    EXPECT_NE(registry.make(type, documenting)->attributes().kind(), "") << type;
  }
}

TEST(Attributes, HaveTheValuesOfTheKeys) {
  Registry registry;
  register_layers(registry);
  Config config = Config::parse(
      "[network]\ninput = 4x8x8\n[layer.conv]\ntype = conv\nchannels = 6\nkernel = 3\nstride = 2\npad = 1\ngroups = 2\n"
      "[layer.bn]\ntype = batchnorm\neps = 0.5\n[layer.clip]\ntype = clip\nhigh = 3\n[layer.q]\ntype = quantized_conv\n"
      "channels = 4\nkernel = 1\nweight_bits = 5\n",
      "attributes.ini");
  const Network network(config, registry);
  const auto attributes = [&](const char* name) {
    return network.nodes()[static_cast<std::size_t>(network.find(name))].layer->attributes();
  };
  const Attributes conv = attributes("conv");
  EXPECT_EQ(conv.kind(), "convolution");
  EXPECT_EQ(conv.get<std::int64_t>("channels"), 6);
  EXPECT_EQ(conv.get<std::int64_t>("kernel"), 3);
  EXPECT_EQ(conv.get<std::int64_t>("stride"), 2);
  EXPECT_EQ(conv.get<std::int64_t>("pad"), 1);
  EXPECT_EQ(conv.get<std::int64_t>("dilation"), 1);
  EXPECT_EQ(conv.get<std::int64_t>("groups"), 2);
  EXPECT_EQ(conv.get<bool>("bias"), false);
  EXPECT_EQ(conv.get<std::string>("bias"), std::nullopt) << "of another type";
  EXPECT_EQ(conv.get<std::int64_t>("eps"), std::nullopt);
  EXPECT_EQ(attributes("bn").get<double>("eps"), 0.5);
  EXPECT_EQ(attributes("clip").get<double>("high"), 3.0);
  EXPECT_EQ(attributes("q").get<std::int64_t>("weight_bits"), 5);
}

}  // namespace
}  // namespace sluice
