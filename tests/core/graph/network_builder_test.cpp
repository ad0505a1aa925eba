// What the network builder refuses, word for word, and that a resolved configuration builds the same network again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "core/base/error.hpp"
#include "tests/core/graph/networks.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

std::string error_of(const std::string& ini) {
  try {
    const Built built(ini);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  return "no error";
}

const std::string kInput = "[network]\ninput = 3x8x6\n";

TEST(NetworkErrors, UnknownType) {
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = relu\n[layer.b]\ntype = cnov\nchannels = 3\n"),
            "net.ini:6: [layer.b] type: unknown layer type 'cnov'; known types: adaptive_average_pool, add, "
            "average_pool, batchnorm, channel_shuffle, clip, concat, conv, dropout, flatten, global_pool, "
            "hard_sigmoid, hard_swish, leaky_relu, linear, max_pool, multiply, pact_relu, pad_shortcut, "
            "quantized_conv, quantized_linear, relu, rprelu, shortcut, sigmoid, silu, softmax_cross_entropy, split, "
            "stochastic_depth, zero_pad; if it is a plug-in's, add --plugins.load=FILE.so; did you mean 'conv'?");
}

TEST(NetworkErrors, TheKnownTypesStandOnce) {
  EXPECT_THAT(error_of(kInput + "[layer.a]\ntype = own_conv\n[layer.b]\ntype = own_conv\n"),
              testing::EndsWith("--plugins.load=FILE.so\nnet.ini:6: [layer.b] type: unknown layer type 'own_conv'"));
}

TEST(NetworkErrors, UnknownSource) {
  EXPECT_EQ(error_of(kInput + "[layer.first]\ntype = relu\n[layer.b]\ntype = relu\nfrom = frist\n"),
            "net.ini:7: [layer.b] from: there is no layer 'frist'; did you mean 'first'?");
}

TEST(NetworkErrors, UnknownResult) {
  const auto error_of_reader = [](const std::string& from) {
    const std::string turn = kInput + "[layer.turn]\ntype = test_rotate\nfrom = data, data\n";
    try {
      const Built built(turn + "[layer.b]\ntype = relu\nfrom = " + from + "\n", 1, register_test_rotate);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error_of_reader("turn:second"), "no error");
  EXPECT_EQ(error_of_reader("turn:third"),
            "net.ini:8: [layer.b] from: 'turn' has no result 'third'; beside 'turn' it has second");
  EXPECT_EQ(error_of_reader("turn:"),
            "net.ini:8: [layer.b] from: 'turn' has no result ''; beside 'turn' it has second");
  EXPECT_EQ(error_of_reader("data:second"),
            "net.ini:8: [layer.b] from: 'data' has no result 'second'; it has one, which 'data' alone names");
  EXPECT_EQ(error_of_reader("trun:second"),
            "net.ini:8: [layer.b] from: there is no layer 'trun'; did you mean 'turn'?");
  EXPECT_EQ(error_of_reader("turn\nshare = turn:second"),
            "net.ini:9: [layer.b] share: 'turn:second' is no layer; name a single earlier layer");
}

/// No layer has a colon in its name.
TEST(NetworkErrors, AColonInAName) {
  EXPECT_EQ(error_of(kInput + "[layer.a:b]\ntype = relu\n"),
            "net.ini:3: expected a section name of letters, digits, '_', '-' and single dots, got 'layer.a:b'");
}

/// A further result of a block is that of its last layer; names in the block come first.
TEST(NetworkBuilder, ResultsAreReadByName) {
  const Built built(kInput +
                        "[layer.start]\ntype = test_rotate\nfrom = data, data\n[layer.pair]\nblock = two\nfrom = "
                        "start:second\n[layer.end]\ntype = add\nfrom = pair, pair:second\n[block.two]\n[block.two."
                        "start]\ntype = relu\n[block.two.turn]\ntype = test_rotate\nfrom = input, start\n",
                    1, register_test_rotate);
  std::string text;
  for (const Node& node : built->nodes()) {
    text += node.name + ":";
    for (const NodeResult& s : node.src) text += " " + built->name(s);
    text += "\n";
  }
  EXPECT_EQ(text,
            "start: data data\npair.start: start:second\npair.turn: start:second pair.start\nend: pair.turn "
            "pair.turn:second\n");
  EXPECT_EQ(built->shape({built->find("start"), 1}), (Shape{1, 3, 8, 6}));
  EXPECT_EQ(built->answer(), NodeResult(built->find("end")));
}

TEST(NetworkErrors, ASourceMustComeBefore) {
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = add\nfrom = data, later\n[layer.later]\ntype = relu\n"),
            "net.ini:5: [layer.a] from: 'later' does not stand before this layer");
}

TEST(NetworkErrors, WrongNumberOfSources) {
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = add\n"),
            "net.ini:3: [layer.a] from: expected 2 sources, got 1 (add of 1x3x8x6)");
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = relu\nfrom = data, data\n"),
            "net.ini:5: [layer.a] from: expected 1 source, got 2 (relu of 1x3x8x6, 1x3x8x6)");
}

TEST(NetworkErrors, ShapesThatDoNotFit) {
  EXPECT_EQ(
      error_of(kInput + "[layer.a]\ntype = conv\nchannels = 4\nkernel = 3\n[layer.b]\ntype = add\nfrom = a, data\n"),
      "net.ini:9: [layer.b] from: the sources must have one shape, got 1x4x6x4 and 1x3x8x6 (add of 1x4x6x4, "
      "1x3x8x6)");
  EXPECT_EQ(
      error_of(kInput + "[layer.a]\ntype = conv\nchannels = 4\nkernel = 9\npad = 1\n"),
      "net.ini:6: [layer.a] kernel: the filter covers 9 pixels (dilation x (kernel - 1) + 1) but the padded image "
      "has only 10x8 (conv of 1x3x8x6)");
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = conv\nchannels = 4\nkernel = 3\ngroups = 2\n"),
            "net.ini:7: [layer.a] groups: groups = 2 must divide both 3 input and 4 output channels (conv of 1x3x8x6)");
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = global_pool\n[layer.b]\ntype = batchnorm\n"),
            "net.ini:5: [layer.b]: expected an image N x C x H x W, got 1x3 (batchnorm of 1x3)");
  EXPECT_EQ(error_of(kInput + "[layer.loss]\ntype = softmax_cross_entropy\nfrom = data, labels\n"),
            "net.ini:5: [layer.loss] from: expected logits N x classes and labels N, got 1x3x8x6 and 1 "
            "(softmax_cross_entropy of 1x3x8x6, 1)");
}

TEST(NetworkErrors, SharedParameters) {
  const std::string first = kInput + "[layer.a]\ntype = conv\nchannels = 3\nkernel = 3\npad = 1\n[layer.b]\n";
  EXPECT_EQ(error_of(first + "type = conv\nchannels = 3\nkernel = 1\nshare = a\n"),
            "net.ini:12: [layer.b] share: parameter 'weight' of layer 'a' has shape 3x3x3x3, this layer needs 3x3x1x1");
  EXPECT_EQ(error_of(first + "type = conv\nchannels = 3\nkernel = 3\nbias = yes\nshare = a\n"),
            "net.ini:13: [layer.b] share: layer 'a' has no parameter 'bias'");
  EXPECT_EQ(error_of(first + "type = conv\nchannels = 3\nkernel = 3\nshare = nobody\n"),
            "net.ini:12: [layer.b] share: there is no layer 'nobody'");
}

TEST(NetworkErrors, NamesThatAreTaken) {
  EXPECT_EQ(error_of(kInput + "[layer.data]\ntype = relu\n"),
            "net.ini:3: [layer.data]: the name 'data' is taken by the network's input");
  EXPECT_EQ(
      error_of(kInput + "[layer.s]\ntype = shortcut\nchannels = 4\nkind = projection\n[layer.s.0]\ntype = relu\n"),
      "net.ini:7: [layer.s.0]: a layer 's.0' stands before this one; rename one of them");
}

TEST(NetworkErrors, NoLayers) {
  EXPECT_EQ(error_of(kInput),
            "net.ini:1: [network]: the configuration declares no layers; include a network file, such as "
            "configs/networks/resnet20.ini");
}

TEST(NetworkErrors, Input) {
  EXPECT_EQ(error_of("[network]\ninput = 3x8\n[layer.a]\ntype = relu\n"),
            "net.ini:2: [network] input: expected channels x height x width like 3x32x32, each 1 to 65536, got '3x8'");
}

TEST(NetworkErrors, AreReportedTogether) {
  EXPECT_EQ(error_of(kInput + "[layer.a]\ntype = conv\nchannels = 0\nkernel = 3\ncolour = red\n[layer.b]\ntype = clip\n"
                              "low = 2\nhigh = 1\n"),
            "net.ini:5: [layer.a] channels: expected an integer of at least 1, got '0'\n"
            "net.ini:7: [layer.a] colour: unknown key; known keys: type, from, share, channels, kernel, stride, pad, "
            "dilation, groups, bias\n"
            "net.ini:11: [layer.b] high: high = 1 must be above low = 2");
}

// --- what is right ---

TEST(Network, InfersShapesAndKeepsNames) {
  const Built net(residual_ini());
  const auto shape = [&](const std::string& name) {
    const int node = net->find(name);
    EXPECT_GE(node, 0) << name;
    return to_string(net->nodes()[static_cast<std::size_t>(node)].declared.dst);
  };
  EXPECT_EQ(shape("conv0"), "1x16x8x8");
  EXPECT_EQ(shape("relu3"), "1x32x4x4");
  EXPECT_EQ(shape("shortcut.0"), "1x32x4x4");
  EXPECT_EQ(shape("pool"), "1x32");
  EXPECT_EQ(shape("fc"), "1x5");
  EXPECT_EQ(net->find("shortcut"), Network::kNotFound) << "a composite is not a node";
  EXPECT_EQ(net->output_node(), net->find("fc"));
}

TEST(Network, CountsParametersAndCosts) {
  const Built net(
      "[network]\ninput = 3x5x7\n[layer.a]\ntype = conv\nchannels = 4\nkernel = 3\nstride = 2\npad = 1\nbias = yes\n"
      "[layer.b]\ntype = linear\nfeatures = 10\n");
  EXPECT_EQ(net->learned_count(), 4 * 3 * 9 + 4 + 10 * 4 * 3 * 4 + 10);
  EXPECT_EQ(net->macs(), 4 * 3 * 4 * 27 + 10 * 4 * 3 * 4);
}

TEST(Network, ArenasAreAlignedAndDisjoint) {
  const Built net(residual_ini());
  std::int64_t end = 0;
  for (const Parameter& p : net->parameters()) {
    EXPECT_EQ(p.offset % 16, 0) << p.path();
    EXPECT_GE(p.offset, end) << p.path();
    end = p.offset + p.shape.count();
  }
  EXPECT_LE(end, net->parameter_count());
  end = 0;
  for (const StateBuffer& b : net->buffers()) {
    EXPECT_GE(b.offset, end) << b.path();
    end = b.offset + b.shape.count();
  }
  EXPECT_LE(end, net->buffer_count());
}

TEST(Network, ASharedParameterIsStoredOnce) {
  const Built net(kInput +
                  "[layer.a]\ntype = conv\nchannels = 3\nkernel = 1\nbias = yes\n[layer.b]\ntype = conv\n"
                  "channels = 3\nkernel = 1\nbias = yes\nshare = a\n");
  ASSERT_EQ(net->parameters().size(), 2U);
  EXPECT_EQ(net->parameters()[0].path(), "a/weight");
  EXPECT_EQ(net->parameters()[0].users, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(net->learned_count(), 12);
}

TEST(Network, InitialValuesDependOnSeedAndNamesAlone) {
  const Built net(residual_ini());
  const Built again(residual_ini());
  EXPECT_TRUE(same_bits(parameters_of(*net), parameters_of(*again)));
  EXPECT_TRUE(same_bits(buffers_of(*net), buffers_of(*again)));
  again->initialise(2);
  EXPECT_FALSE(same_bits(parameters_of(*net), parameters_of(*again)));
  // A layer's values do not depend on those around it.
  const Built alone("[network]\ninput = 16x8x8\n[layer.conv2]\ntype = conv\nkernel = 3\npad = 1\nchannels = 16\n");
  const Parameter& own = alone->parameters()[0];
  for (const Parameter& p : net->parameters()) {
    if (p.path() != own.path()) continue;
    EXPECT_TRUE(same_bits(copy_of(net->parameter_data() + p.offset, p.shape.count()),
                          copy_of(alone->parameter_data() + own.offset, own.shape.count())));
  }
}

/// Layers, sources, parameters and shapes of a network as text.
std::string description(const Network& network) {
  std::string text;
  for (const Node& node : network.nodes()) {
    text += node.name + " " + node.type;
    for (const NodeResult& s : node.src) text += " " + network.name(s);
    for (int p : node.params) text += " p" + network.parameters()[static_cast<std::size_t>(p)].path();
    text += " " + to_string(node.declared.dst) + "\n";
  }
  return text;
}

/// Without the comments that say where a value came from.
std::string without_marks(const std::string& ini) {
  return std::regex_replace(ini, std::regex(" *#[^\n]*"), "");
}

TEST(Network, TheResolvedConfigurationBuildsItAgain) {
  const std::string shared =
      "[define]\nwidth = 6\n[network]\ninput = 3x8x6\n[type.conv]\nbias = yes\n[block.twice]\nparameters = channels\n"
      "[block.twice.a]\ntype = conv\nchannels = ${channels}\nkernel = 3\npad = 1\n[block.twice.b]\ntype = relu\n"
      "[layer.body]\nblock = twice\nrepeat = 2\nchannels = ${width}\n[layer.again]\ntype = conv\nchannels = 6\nkernel "
      "= 3\n"
      "pad = 1\nshare = body.1.a\n[layer.s]\ntype = shortcut\nfrom = body.0.b\nchannels = 6\n[layer.sum]\ntype = add\n"
      "from = again, s\n[layer.p]\ntype = shortcut\nchannels = 8\nkind = projection\n";
  for (const std::string& ini : {residual_ini(true), shared}) {
    const Built net(ini);
    const std::string resolved = net.config->resolved();
    const Built again(resolved);
    EXPECT_EQ(description(*net), description(*again)) << resolved;
    EXPECT_TRUE(same_bits(parameters_of(*net), parameters_of(*again)));
    EXPECT_EQ(without_marks(again.config->resolved()), without_marks(resolved));
  }
}

TEST(Network, SeveralLiveInOneProcess) {
  const Built a(residual_ini());
  const Built b(kInput + "[layer.a]\ntype = conv\nchannels = 3\nkernel = 1\n");
  const std::vector<float> before = parameters_of(*a);
  b->initialise(9);
  EXPECT_TRUE(same_bits(before, parameters_of(*a)));
}

}  // namespace
}  // namespace sluice
