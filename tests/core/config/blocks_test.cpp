// Expansion of a network's description: names, sources, arguments, defaults of types, and the text of every mistake.
#include "core/config/blocks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const char kResnet20[] = R"([define]
gated_conv = conv
activation = relu
[network]
input = 3x32x32
[layer.conv1]
type = conv
channels = 16
kernel = 3
[layer.bn1]
type = batchnorm
[layer.relu]
type = ${activation}
[layer.layer1]
block = basic
repeat = 3
channels = 16
[layer.layer2]
block = basic
repeat = 3
channels = 32
stride = 2
[layer.layer3]
block = basic
repeat = 3
channels = 64
stride = 2
[layer.avgpool]
type = global_pool
[layer.fc]
type = linear
features = 10
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[block.basic]
parameters = channels, stride=1
first_only = stride
[block.basic.conv1]
type = ${gated_conv}
channels = ${channels}
stride = ${stride}
kernel = 3
[block.basic.bn1]
type = batchnorm
[block.basic.relu1]
type = ${activation}
[block.basic.conv2]
type = ${gated_conv}
channels = ${channels}
kernel = 3
[block.basic.bn2]
type = batchnorm
[block.basic.shortcut]
type = shortcut
from = input
channels = ${channels}
stride = ${stride}
[block.basic.add]
type = add
from = bn2, shortcut
[block.basic.relu]
type = ${activation}
)";

std::vector<std::string> names_of(const std::vector<Section>& layers) {
  std::vector<std::string> names;
  for (const Section& layer : layers) names.push_back(layer.name());
  return names;
}

const Section& layer(const std::vector<Section>& layers, const std::string& name) {
  for (const Section& candidate : layers) {
    if (candidate.name() == name) return candidate;
  }
  throw std::out_of_range("no layer " + name);
}

std::string value(const std::vector<Section>& layers, const std::string& name, const std::string& key) {
  const Entry* entry = layer(layers, name).find(key);
  return entry == nullptr ? "(absent)" : entry->value;
}

/// "name<from" for each layer.
std::vector<std::string> graph_of(const std::vector<Section>& layers) {
  std::vector<std::string> lines;
  for (const Section& each : layers) lines.push_back(each.name() + "<" + each.find("from")->value);
  return lines;
}

std::vector<Section> expand(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Config config = Config::parse(text, "n.ini", overrides);
  std::vector<Section> layers = expand_layers(config);
  config.diagnostics().throw_if_errors();
  return layers;
}

std::vector<std::string> errors_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Config config = Config::parse(text, "n.ini", overrides);
  expand_layers(config);
  return config.diagnostics().errors();
}

TEST(Blocks, NameTheLayersOfResnet20AsPytorchDoes) {
  const std::vector<Section> layers = expand(kResnet20);
  std::vector<std::string> expected = {"conv1", "bn1", "relu"};
  for (const char* stage : {"layer1", "layer2", "layer3"}) {
    for (const char* index : {".0.", ".1.", ".2."}) {
      for (const char* part : {"conv1", "bn1", "relu1", "conv2", "bn2", "shortcut", "add", "relu"}) {
        expected.push_back(std::string(stage) + index + part);
      }
    }
  }
  for (const char* last : {"avgpool", "fc", "loss"}) expected.push_back(last);
  EXPECT_EQ(names_of(layers), expected);
}

TEST(Blocks, PassArgumentsAndKeepFirstOnlyParametersToTheFirstRepetition) {
  const std::vector<Section> layers = expand(kResnet20);
  EXPECT_EQ(value(layers, "layer2.0.conv1", "channels"), "32");
  EXPECT_EQ(value(layers, "layer2.0.conv1", "stride"), "2");
  EXPECT_EQ(value(layers, "layer2.0.shortcut", "stride"), "2");
  EXPECT_EQ(value(layers, "layer2.1.conv1", "stride"), "1");
  EXPECT_EQ(value(layers, "layer2.2.conv1", "channels"), "32");
  EXPECT_EQ(value(layers, "layer1.0.conv1", "stride"), "1");
}

TEST(Blocks, WriteEverySourceAsAGlobalName) {
  const std::vector<Section> layers = expand(kResnet20);
  EXPECT_EQ(value(layers, "conv1", "from"), "data");
  EXPECT_EQ(value(layers, "bn1", "from"), "conv1");
  EXPECT_EQ(value(layers, "layer1.0.conv1", "from"), "relu");
  EXPECT_EQ(value(layers, "layer1.0.shortcut", "from"), "relu");
  EXPECT_EQ(value(layers, "layer1.0.add", "from"), "layer1.0.bn2, layer1.0.shortcut");
  EXPECT_EQ(value(layers, "layer1.1.conv1", "from"), "layer1.0.relu");
  EXPECT_EQ(value(layers, "layer2.0.shortcut", "from"), "layer1.2.relu");
  EXPECT_EQ(value(layers, "avgpool", "from"), "layer3.2.relu");
  EXPECT_EQ(value(layers, "loss", "from"), "fc, labels");
}

TEST(Blocks, ListsOfNamesMayStandInQuotes) {
  const std::string block =
      "[block.b]\nparameters = \"c\", s=1\nfirst_only = \"s\"\n[block.b.conv]\ntype = conv\nk = ${c}${s}\n";
  const std::string text = "[layer.a]\nblock = b\nrepeat = 2\nc = 4\ns = 2\n" + block + "[layer.add]\ntype = add\n";
  const std::vector<Section> layers = expand(text + "from = \"a\", data\n");
  EXPECT_EQ(value(layers, "a.0.conv", "k"), "42");
  EXPECT_EQ(value(layers, "a.1.conv", "k"), "41");
  EXPECT_EQ(value(layers, "add", "from"), "a.1.conv, data");
  EXPECT_EQ(layer(layers, "add").find("from")->written(), "a.1.conv, data");
}

TEST(Blocks, OneDefinitionSwapsTheConvolutionAndTypesGiveDefaults) {
  const std::vector<Section> layers =
      expand(std::string(kResnet20) + "[type.cg_conv]\npartitions = 4\nkernel = 5\n[type.pg_conv]\nbits = 3\n",
             {"--define.gated_conv=cg_conv"});
  EXPECT_EQ(value(layers, "conv1", "type"), "conv");
  EXPECT_EQ(value(layers, "conv1", "partitions"), "(absent)");
  EXPECT_EQ(value(layers, "layer3.2.conv2", "type"), "cg_conv");
  EXPECT_EQ(value(layers, "layer3.2.conv2", "partitions"), "4");
  EXPECT_EQ(value(layers, "layer3.2.conv2", "kernel"), "3") << "a layer's own key goes before the type's";
  EXPECT_EQ(value(layers, "layer3.2.conv2", "bits"), "(absent)");
  EXPECT_EQ(layer(layers, "layer3.2.conv2").find("type")->origin, Entry::Origin::kCommandLine);
  EXPECT_EQ(layer(layers, "layer3.2.conv2").find("partitions")->section, "type.cg_conv");
}

TEST(Blocks, WithoutRepeatHaveNoIndexAndWithRepeatOfOneHaveOne) {
  const std::string block = "[block.b]\n[block.b.conv]\ntype = conv\n";
  EXPECT_THAT(graph_of(expand("[layer.x]\nblock = b\n" + block)), ElementsAre("x.conv<data"));
  EXPECT_THAT(graph_of(expand("[layer.x]\nblock = b\nrepeat = 1\n" + block)), ElementsAre("x.0.conv<data"));
}

TEST(Blocks, NestAndPassArgumentsDown) {
  const std::string text = R"(
[layer.stem]
type = conv
[layer.stage]
block = outer
repeat = 2
width = 8
[layer.head]
type = linear
from = stage
[layer.side]
type = linear
from = stage.0, stage.0.part, stage.1.part.1.conv
[block.outer]
parameters = width, wide=${width}
[block.outer.pre]
type = relu
[block.outer.part]
block = inner
repeat = 2
c = ${wide}
from = pre, input
[block.outer.end]
type = add
from = input, part, part.0.conv
[block.inner]
parameters = c
[block.inner.conv]
type = conv
channels = ${c}
[block.inner.skip]
type = add
from = conv, input
)";
  const std::vector<Section> layers = expand(text);
  EXPECT_THAT(graph_of(layers),
              ElementsAre("stem<data", "stage.0.pre<stem", "stage.0.part.0.conv<stage.0.pre, stem",
                          "stage.0.part.0.skip<stage.0.part.0.conv, stage.0.pre, stem",
                          "stage.0.part.1.conv<stage.0.part.0.skip",
                          "stage.0.part.1.skip<stage.0.part.1.conv, stage.0.part.0.skip",
                          "stage.0.end<stem, stage.0.part.1.skip, stage.0.part.0.conv", "stage.1.pre<stage.0.end",
                          "stage.1.part.0.conv<stage.1.pre, stage.0.end",
                          "stage.1.part.0.skip<stage.1.part.0.conv, stage.1.pre, stage.0.end",
                          "stage.1.part.1.conv<stage.1.part.0.skip",
                          "stage.1.part.1.skip<stage.1.part.1.conv, stage.1.part.0.skip",
                          "stage.1.end<stage.0.end, stage.1.part.1.skip, stage.1.part.0.conv", "head<stage.1.end",
                          "side<stage.0.end, stage.0.part.1.skip, stage.1.part.1.conv"));
  EXPECT_EQ(value(layers, "stage.1.part.0.conv", "channels"), "8");
}

TEST(Blocks, TakeLayerNamesWithDotsAsPytorchHasThem) {
  const std::string text =
      "[layer.l]\nblock = b\nrepeat = 1\n[block.b]\n[block.b.downsample.0]\ntype = conv\n"
      "[block.b.downsample.1]\ntype = batchnorm\n[block.b.add]\ntype = add\nfrom = downsample.1, input\n";
  EXPECT_THAT(graph_of(expand(text)), ElementsAre("l.0.downsample.0<data", "l.0.downsample.1<l.0.downsample.0",
                                                  "l.0.add<l.0.downsample.1, data"));
}

TEST(Blocks, LocalNamesGoBeforeGlobalOnes) {
  const std::string text =
      "[layer.conv]\ntype = conv\n[layer.b]\nblock = b\n[block.b]\n[block.b.first]\ntype = relu\nfrom = conv\n"
      "[block.b.conv]\ntype = conv\n[block.b.add]\ntype = add\nfrom = conv, first\n";
  EXPECT_THAT(graph_of(expand(text)),
              ElementsAre("conv<data", "b.first<conv", "b.conv<b.first", "b.add<b.conv, b.first"));
}

TEST(Blocks, ResolveSharedParametersLocallyAndGlobally) {
  const std::string text =
      "[layer.stem]\ntype = conv\n[layer.x]\nblock = b\nrepeat = 2\n[block.b]\n[block.b.one]\ntype = conv\nshare = "
      "stem\n"
      "[block.b.two]\ntype = conv\nshare = one\n";
  const std::vector<Section> layers = expand(text);
  EXPECT_EQ(value(layers, "x.1.one", "share"), "stem");
  EXPECT_EQ(value(layers, "x.0.two", "share"), "x.0.one");
  EXPECT_EQ(value(layers, "x.1.two", "share"), "x.1.one");
}

TEST(Blocks, ASectionBelowABlockChangesOneExpandedLayer) {
  const std::vector<Section> layers = expand(std::string(kResnet20) +
                                                 "[layer.layer1.0.conv1]\ntype = conv\nkernel = 5\nfrom = conv1\n"
                                                 "[layer.layer2.1.conv2]\nbias = yes\n",
                                             {"--define.gated_conv=cg_conv", "--layer.layer3.2.conv1.kernel=7"});
  EXPECT_EQ(value(layers, "layer1.0.conv1", "type"), "conv");
  EXPECT_EQ(value(layers, "layer1.0.conv1", "kernel"), "5");
  EXPECT_EQ(value(layers, "layer1.0.conv1", "from"), "conv1");
  EXPECT_EQ(value(layers, "layer1.1.conv1", "type"), "cg_conv");
  EXPECT_EQ(value(layers, "layer2.1.conv2", "bias"), "yes");
  EXPECT_EQ(value(layers, "layer3.2.conv1", "kernel"), "7");
  EXPECT_EQ(layer(layers, "layer3.2.conv1").find("kernel")->origin, Entry::Origin::kCommandLine);
  EXPECT_EQ(names_of(layers).size(), names_of(expand(kResnet20)).size());
}

TEST(Blocks, OverridesReachLayersBlocksTypesAndArguments) {
  const std::vector<Section> layers =
      expand(kResnet20, {"--layer.conv1.kernel=5", "--layer.layer2.channels=48", "--layer.layer1.repeat=1",
                         "--block.basic.conv2.kernel=1", "--type.batchnorm.momentum=0.2"});
  EXPECT_EQ(value(layers, "conv1", "kernel"), "5");
  EXPECT_EQ(value(layers, "layer2.0.conv1", "channels"), "48");
  EXPECT_EQ(layer(layers, "layer2.0.conv1").find("channels")->origin, Entry::Origin::kCommandLine);
  EXPECT_EQ(value(layers, "layer2.0.conv2", "kernel"), "1");
  EXPECT_EQ(value(layers, "bn1", "momentum"), "0.2");
  EXPECT_EQ(layers.size(), 3u + 7u * 8u + 3u);
}

TEST(Blocks, ValuesKeepTheLineOfTheBlockAndMessagesNameTheArgument) {
  Config config = Config::parse(
      "[layer.x]\nblock = b\nrepeat = 3\nc = abc\n[block.b]\nparameters = c\n[block.b.conv]\n"
      "type = conv\nchannels = ${c}\n",
      "n.ini");
  std::vector<Section> layers = expand_layers(config);
  ASSERT_EQ(layers.size(), 3u);
  for (Section& each : layers) {
    Keys keys(each, config.diagnostics());
    std::int64_t channels = 0, kernel = 0;
    keys.required("channels", channels, at_least(1), "");
    keys.required("kernel", kernel, at_least(1), "");
    EXPECT_EQ(keys.where("channels"), "n.ini:9: [block.b.conv] channels");
    EXPECT_EQ(each.find("type")->source.line, 8);
  }
  EXPECT_THAT(
      config.diagnostics().errors(),
      ElementsAre(
          "n.ini:7: [block.b.conv] kernel: required key is missing; expected an integer of at least 1",
          "n.ini:9: [block.b.conv] channels: expected an integer of at least 1, got 'abc' (${c} is set at n.ini:4)"))
      << "three repetitions of one mistake are one mistake";
}

struct Bad {
  const char* what;
  const char* text;
  std::vector<std::string> errors;
};

class BadNetwork : public testing::TestWithParam<Bad> {};

TEST_P(BadNetwork, IsRefusedWithTheseWords) {
  EXPECT_EQ(errors_of(GetParam().text), GetParam().errors);
}

const Bad kBad[] = {
    {"unknown block",
     "[layer.x]\nblock = basik\n[block.basic]\n[block.basic.a]\ntype = relu\n",
     {"n.ini:2: [layer.x] block: unknown block 'basik'; did you mean 'basic'?"}},
    {"no block at all", "[layer.x]\nblock = b\n", {"n.ini:2: [layer.x] block: unknown block 'b'"}},
    {"type and block",
     "[layer.x]\ntype = conv\nblock = b\n[block.b]\n[block.b.a]\ntype = relu\n",
     {"n.ini:3: [layer.x] block: a layer has either 'type' or 'block', not both"}},
    {"neither",
     "[layer.x]\ntpye = conv\n[layer.y]\ntype = relu\nfrom = x\n",
     {"n.ini:1: [layer.x]: the layer needs 'type' (what it is) or 'block' (a group of layers)"}},
    {"missing parameter",
     "[layer.x]\nblock = b\n[block.b]\nparameters = c\n[block.b.a]\ntype = conv\nk = ${c}\n",
     {"n.ini:1: [layer.x] c: required parameter of the block 'b' is missing"}},
    {"unknown parameter",
     "[layer.x]\nblock = b\nstrid = 2\nkernel = 3\n[block.b]\nparameters = channels=4, stride=1\n[block.b.a]\ntype = "
     "relu\n",
     {"n.ini:3: [layer.x] strid: the block 'b' has no such parameter; it takes channels, stride; did you mean "
      "'stride'?",
      "n.ini:4: [layer.x] kernel: the block 'b' has no such parameter; it takes channels, stride"}},
    {"argument for a block without parameters",
     "[layer.x]\nblock = b\nk = 2\n[block.b]\n[block.b.a]\ntype = relu\n",
     {"n.ini:3: [layer.x] k: the block 'b' has no such parameter; it takes none"}},
    {"repeat",
     "[layer.x]\nblock = b\nrepeat = 0\n[block.b]\n[block.b.a]\ntype = relu\n",
     {"n.ini:3: [layer.x] repeat: expected an integer from 1 to 1000, got '0'"}},
    {"recursion",
     "[layer.x]\nblock = a\n[block.a]\n[block.a.one]\nblock = b\n[block.b]\n[block.b.two]\nblock = a\n",
     {"n.ini:8: [block.b.two] block: the block uses itself: a -> b -> a"}},
    {"endless growth",
     "[layer.x]\nblock = a\nrepeat = 1000\n[block.a]\n[block.a.one]\nblock = b\nrepeat = 1000\n[block.b]\n"
     "[block.b.two]\ntype = relu\n",
     {"n.ini:6: [block.a.one] block: the network has more than 20000 layers"}},
    {"empty block", "[layer.x]\nblock = a\n[block.a]\n", {"n.ini:2: [layer.x] block: the block 'a' has no layers"}},
    {"block without its head",
     "[block.basic]\n[block.basci.conv]\ntype = conv\n",
     {"n.ini:2: [block.basci.conv]: there is no [block.basci]; did you mean 'basic'?"}},
    {"layer named input",
     "[block.b]\n[block.b.input]\ntype = conv\n",
     {"n.ini:2: [block.b.input]: 'input' means the block's input and cannot name a layer"}},
    {"layer named data",
     "[layer.data]\ntype = conv\n",
     {"n.ini:1: [layer.data]: the name 'data' is taken by the network's input"}},
    {"unknown source",
     "[layer.conv1]\ntype = conv\n[layer.x]\ntype = relu\nfrom = cnov1\n",
     {"n.ini:5: [layer.x] from: there is no layer 'cnov1'; did you mean 'conv1'?"}},
    {"unknown local source",
     "[layer.x]\nblock = b\nrepeat = 5\n[block.b]\n[block.b.conv]\ntype = conv\nfrom = inptu\n",
     {"n.ini:7: [block.b.conv] from: there is no layer 'inptu'; did you mean 'input'?"}},
    {"input outside of a block",
     "[layer.x]\ntype = relu\nfrom = input\n",
     {"n.ini:3: [layer.x] from: there is no layer 'input'"}},
    {"later source",
     "[layer.x]\ntype = relu\nfrom = y\n[layer.y]\ntype = relu\n",
     {"n.ini:3: [layer.x] from: 'y' does not stand before this layer"}},
    {"own source",
     "[layer.x]\ntype = relu\nfrom = x\n",
     {"n.ini:3: [layer.x] from: 'x' does not stand before this layer"}},
    {"empty source",
     "[layer.x]\ntype = relu\nfrom =\n",
     {"n.ini:3: [layer.x] from: expected names of layers separated by commas, got ''"}},
    {"empty item of a list of sources",
     "[layer.x]\ntype = relu\n[layer.y]\ntype = relu\nfrom = x,\n",
     {"n.ini:5: [layer.y] from: expected names of layers separated by commas, got an empty item in 'x,'"}},
    {"result with a dot",
     "[layer.mix]\ntype = mix\n[layer.x]\ntype = relu\nfrom = mix.difference\n",
     {"n.ini:5: [layer.x] from: there is no layer 'mix.difference'; did you mean 'mix:difference'?"}},
    {"result with a dot in a block",
     "[layer.x]\nblock = b\n[block.b]\n[block.b.mix]\ntype = mix\n[block.b.y]\ntype = relu\nfrom = mix.other\n",
     {"n.ini:8: [block.b.y] from: there is no layer 'mix.other'; did you mean 'mix:other'?"}},
    {"sharing with a block",
     "[layer.x]\nblock = b\n[layer.y]\ntype = conv\nshare = x\n[block.b]\n[block.b.a]\ntype = conv\n",
     {"n.ini:5: [layer.y] share: 'x' is no layer; name a single earlier layer"}},
    {"sharing with the data",
     "[layer.y]\ntype = conv\nshare = data\n",
     {"n.ini:3: [layer.y] share: 'data' is no layer; name a single earlier layer"}},
    {"sharing with nothing",
     "[layer.conv1]\ntype = conv\n[layer.y]\ntype = conv\nshare = conv2\n",
     {"n.ini:5: [layer.y] share: there is no layer 'conv2'; did you mean 'conv1'?"}},
    {"parameter list",
     "[block.b]\nparameters = a, b c, from, a, =2\nfirst_only = a, d\ncolour = red\n",
     {"n.ini:2: [block.b] parameters: expected names separated by commas, as in 'channels, stride=1', got 'b c'",
      "n.ini:2: [block.b] parameters: 'from' is a key of its own and cannot be a parameter",
      "n.ini:2: [block.b] parameters: the parameter 'a' stands there twice",
      "n.ini:2: [block.b] parameters: expected names separated by commas, as in 'channels, stride=1', got ''",
      "n.ini:3: [block.b] first_only: the parameter 'a' needs a default, which the later repetitions take; write "
      "a=VALUE in "
      "'parameters'",
      "n.ini:3: [block.b] first_only: 'd' is no parameter of the block; its parameters: a",
      "n.ini:4: [block.b] colour: unknown key; known keys: parameters, first_only"}},
    {"default of a later parameter",
     "[block.b]\nparameters = a=${b}, b=1\n",
     {"n.ini:2: [block.b] parameters: the default of 'a' uses ${b}, which is no parameter before it"}},
    {"unknown name in a block",
     "[block.b]\nparameters = channels\n[block.b.a]\ntype = conv\nchannels = ${chanels}\n",
     {"n.ini:5: [block.b.a] channels: unknown name ${chanels}; did you mean 'channels'?"}},
    {"parameter outside of its block",
     "[layer.x]\ntype = conv\nchannels = ${channels}\n[block.b]\nparameters = channels\n",
     {"n.ini:3: [layer.x] channels: unknown name ${channels}"}},
    {"change of a layer that is not there",
     "[layer.x]\nblock = b\nrepeat = 2\n[layer.x.2.conv]\nkernel = 3\n[block.b]\n[block.b.conv]\ntype = conv\n",
     {"n.ini:4: [layer.x.2.conv]: there is no such layer; did you mean 'layer.x.0.conv'?"}},
    {"one name twice",
     "[layer.x]\nblock = b\n[block.b]\n[block.b.p]\nblock = c\n[block.b.p.conv]\ntype = "
     "conv\n[block.c]\n[block.c.conv]\n"
     "type = relu\n",
     {"n.ini:6: [block.b.p.conv]: a second layer gets the name 'x.p.conv'"}},
    {"defaults that belong to a layer",
     "[type.conv]\nfrom = x\nshare = y\nkernel = 3\n",
     {"n.ini:2: [type.conv] from: belongs to a single layer and cannot be a default of a type",
      "n.ini:3: [type.conv] share: belongs to a single layer and cannot be a default of a type"}},
};

INSTANTIATE_TEST_SUITE_P(Blocks, BadNetwork, testing::ValuesIn(kBad), [](const testing::TestParamInfo<Bad>& bad) {
  std::string name = bad.param.what;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(Blocks, OverridesOfUnknownLayersAndBlocksAreRefused) {
  EXPECT_THAT(
      errors_of(kResnet20, {"--layer.conv2.kernel=3", "--layer.layer1.5.conv1.kernel=3", "--block.basic.conv3.kernel=3",
                            "--block.basci.first_only=stride"}),
      ElementsAre("command line: [block.basic.conv3] kernel: unknown section; did you mean 'block.basic.conv1'?",
                  "command line: [block.basci] first_only: unknown section; did you mean 'block.basic'?",
                  "command line: [layer.layer1.5.conv1] kernel: there is no such layer; did you mean "
                  "'layer.layer1.0.conv1'?",
                  "command line: [layer.conv2] kernel: there is no such layer; did you mean 'layer.conv1'?"));
}

TEST(Blocks, TypeSectionsAreCheckedAgainstTheRegisteredTypes) {
  Config config =
      Config::parse("[type.conv]\nkernel = 3\n[type.cg_cnov]\npartitions = 4\n", "n.ini", {"--type.rleu.x=1"});
  check_type_sections(config, {"conv", "relu", "cg_conv"});
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("n.ini:3: [type.cg_cnov]: unknown layer type 'cg_cnov'; did you mean 'cg_conv'?",
                          "command line: [type.rleu] x: unknown layer type 'rleu'; did you mean 'relu'?"));
}

TEST(Blocks, AnEmptyDescriptionGivesNoLayers) {
  EXPECT_THAT(expand("[run]\nseed = 1\n"), IsEmpty());
}

}  // namespace
}  // namespace sluice
