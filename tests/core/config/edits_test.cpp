// Sections that put layers behind others, take their place or leave them out: graphs, and the text of every mistake.
#include "core/config/edits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/base/error.hpp"
#include "core/config/blocks.hpp"
#include "tests/core/config/files.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const char kNetwork[] = R"([layer.conv1]
type = conv
channels = 8
kernel = 3
[layer.bn1]
type = batchnorm
[layer.stage1]
block = basic
repeat = 2
channels = 8
[layer.stage2]
block = basic
repeat = 1
channels = 16
[layer.fc]
type = linear
features = 10
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[block.basic]
parameters = channels
[block.basic.conv]
type = conv
channels = ${channels}
[block.basic.relu]
type = relu
[block.basic.add]
type = add
from = relu, input
)";

/// The network, included by a file of this text.
class Variant : public testing::Test {
 protected:
  Config load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    files_.write("net.ini", kNetwork);
    return Config::load({files_.write("variant.ini", "include = net.ini\n" + text)}, overrides);
  }

  std::vector<Section> layers(const std::string& text, const std::vector<std::string>& overrides = {}) {
    Config config = load(text, overrides);
    std::vector<Section> layers = expand_layers(config);
    config.diagnostics().throw_if_errors();
    return layers;
  }

  /// "name<from" for each layer.
  std::vector<std::string> graph(const std::string& text, const std::vector<std::string>& overrides = {}) {
    std::vector<std::string> lines;
    for (const Section& layer : layers(text, overrides))
      lines.push_back(layer.name() + "<" + layer.find("from")->value);
    return lines;
  }

  /// Errors, without the folder.
  std::vector<std::string> errors(const std::string& text, const std::vector<std::string>& overrides = {}) {
    Config config = load(text, overrides);
    expand_layers(config);
    std::vector<std::string> errors = config.diagnostics().errors();
    const std::string folder = files_.path("");
    for (std::string& error : errors) {
      if (error.rfind(folder, 0) == 0) error.erase(0, folder.size());
    }
    return errors;
  }

  /// "key=value" of a layer, without `from`.
  static std::vector<std::string> keys(const std::vector<Section>& layers, const std::string& name) {
    std::vector<std::string> keys;
    for (const Section& layer : layers) {
      if (layer.name() != name) continue;
      for (const Entry& entry : layer.entries()) {
        if (entry.key != "from") keys.push_back(entry.key + "=" + entry.value);
      }
    }
    return keys;
  }

 private:
  Files files_;
};

const std::vector<std::string> kPlain = {"conv1<data",
                                         "bn1<conv1",
                                         "stage1.0.conv<bn1",
                                         "stage1.0.relu<stage1.0.conv",
                                         "stage1.0.add<stage1.0.relu, bn1",
                                         "stage1.1.conv<stage1.0.add",
                                         "stage1.1.relu<stage1.1.conv",
                                         "stage1.1.add<stage1.1.relu, stage1.0.add",
                                         "stage2.0.conv<stage1.1.add",
                                         "stage2.0.relu<stage2.0.conv",
                                         "stage2.0.add<stage2.0.relu, stage1.1.add",
                                         "fc<stage2.0.add",
                                         "loss<fc, labels"};

/// The plain graph with some lines changed; "" takes one away, and "a; b" puts two in its place.
std::vector<std::string> changed(const std::map<std::string, std::string>& lines) {
  std::vector<std::string> graph;
  std::size_t used = 0;
  for (const std::string& line : kPlain) {
    const auto found = lines.find(line);
    std::string text = found == lines.end() ? line : found->second;
    used += found == lines.end() ? 0 : 1;
    for (std::size_t end = text.find("; "); end != std::string::npos; end = text.find("; ")) {
      graph.push_back(text.substr(0, end));
      text.erase(0, end + 2);
    }
    if (!text.empty()) graph.push_back(text);
  }
  EXPECT_EQ(used, lines.size());
  return graph;
}

TEST_F(Variant, WithoutEditsIsTheNetwork) {
  EXPECT_EQ(graph(""), kPlain);
}

TEST_F(Variant, PutsALayerBehindAnother) {
  const std::map<std::string, std::string> lines = {{"bn1<conv1", "noise<conv1; bn1<noise"}};
  EXPECT_EQ(graph("[layer.noise]\ntype = dropout\nafter = conv1\n"), changed(lines));
  EXPECT_EQ(graph("", {"--layer.noise.type=dropout", "--layer.noise.after=conv1"}), changed(lines));
}

TEST_F(Variant, AllThatReadTheLayerReadTheNewOne) {
  EXPECT_EQ(graph("[layer.noise]\ntype = dropout\nafter = bn1\n"),
            changed({{"stage1.0.conv<bn1", "noise<bn1; stage1.0.conv<noise"},
                     {"stage1.0.add<stage1.0.relu, bn1", "stage1.0.add<stage1.0.relu, noise"}}));
}

TEST_F(Variant, PutsALayerBehindTheData) {
  EXPECT_EQ(graph("[layer.noise]\ntype = dropout\nafter = data\n"),
            changed({{"conv1<data", "noise<data; conv1<noise"}}));
}

TEST_F(Variant, PutsLayersBehindOneAnother) {
  EXPECT_EQ(graph("[layer.b]\ntype = relu\nafter = a\n[layer.a]\ntype = dropout\nafter = conv1\n"),
            changed({{"bn1<conv1", "a<conv1; b<a; bn1<b"}}));
}

TEST_F(Variant, TheNameOfABlockOrARepetitionMeansItsLastLayer) {
  EXPECT_EQ(graph("[layer.noise]\ntype = dropout\nafter = stage1\n"),
            changed({{"stage2.0.conv<stage1.1.add", "noise<stage1.1.add; stage2.0.conv<noise"},
                     {"stage2.0.add<stage2.0.relu, stage1.1.add", "stage2.0.add<stage2.0.relu, noise"}}));
  EXPECT_EQ(graph("[layer.noise]\ntype = dropout\nafter = stage1.0\n"),
            changed({{"stage1.1.conv<stage1.0.add", "noise<stage1.0.add; stage1.1.conv<noise"},
                     {"stage1.1.add<stage1.1.relu, stage1.0.add", "stage1.1.add<stage1.1.relu, noise"}}));
}

TEST_F(Variant, AStarStandsForOnePartAndTheNameHasItToo) {
  const std::string text = "[layer.stage1.*.noise]\ntype = dropout\nafter = stage1.*.conv\n";
  const std::map<std::string, std::string> lines = {
      {"stage1.0.relu<stage1.0.conv", "stage1.0.noise<stage1.0.conv; stage1.0.relu<stage1.0.noise"},
      {"stage1.1.relu<stage1.1.conv", "stage1.1.noise<stage1.1.conv; stage1.1.relu<stage1.1.noise"}};
  EXPECT_EQ(graph(text), changed(lines));
  std::map<std::string, std::string> all = lines;
  all["stage2.0.relu<stage2.0.conv"] = "stage2.0.noise<stage2.0.conv; stage2.0.relu<stage2.0.noise";
  EXPECT_EQ(graph("[layer.stage*.*.noise]\ntype = dropout\nafter = stage*.*.conv\n"), changed(all));
}

TEST_F(Variant, ABlocksOwnInsertionReadsItsParameters) {
  const std::string text = "[block.basic.mix]\ntype = conv\nafter = conv\nchannels = ${channels}\nkernel = 1\n";
  EXPECT_EQ(graph(text),
            changed({{"stage1.0.relu<stage1.0.conv", "stage1.0.mix<stage1.0.conv; stage1.0.relu<stage1.0.mix"},
                     {"stage1.1.relu<stage1.1.conv", "stage1.1.mix<stage1.1.conv; stage1.1.relu<stage1.1.mix"},
                     {"stage2.0.relu<stage2.0.conv", "stage2.0.mix<stage2.0.conv; stage2.0.relu<stage2.0.mix"}}));
  EXPECT_THAT(keys(layers(text), "stage2.0.mix"), ElementsAre("type=conv", "channels=16", "kernel=1"));
}

TEST_F(Variant, PutsInWholeBlocks) {
  const std::string block =
      "[block.gate]\n[block.gate.pool]\ntype = global_pool\n[block.gate.scale]\ntype = multiply\nfrom = input, pool\n";
  EXPECT_EQ(graph("[layer.stage1.*.se]\nblock = gate\nafter = stage1.*.relu\n" + block),
            changed({{"stage1.0.add<stage1.0.relu, bn1",
                      "stage1.0.se.pool<stage1.0.relu; stage1.0.se.scale<stage1.0.relu, stage1.0.se.pool; "
                      "stage1.0.add<stage1.0.se.scale, bn1"},
                     {"stage1.1.add<stage1.1.relu, stage1.0.add",
                      "stage1.1.se.pool<stage1.1.relu; stage1.1.se.scale<stage1.1.relu, stage1.1.se.pool; "
                      "stage1.1.add<stage1.1.se.scale, stage1.0.add"}}));
}

TEST_F(Variant, AnInsertionMayReadOtherLayersAndAResultStaysTheLayersOwn) {
  EXPECT_EQ(graph("[layer.stage2.*.skip]\ntype = add\nafter = stage2.*.conv\nfrom = stage2.*.conv, conv1\n"
                  "[layer.last]\ntype = relu\nfrom = stage2.0.conv:mask\n"),
            [] {
              std::vector<std::string> lines = changed(
                  {{"stage2.0.relu<stage2.0.conv", "stage2.0.skip<stage2.0.conv, conv1; stage2.0.relu<stage2.0.skip"}});
              lines.push_back("last<stage2.0.conv:mask");
              return lines;
            }());
}

TEST_F(Variant, SharedParametersAreThoseOfTheLayerItself) {
  const std::vector<Section> made =
      layers("[layer.noise]\ntype = dropout\nafter = conv1\n[layer.extra]\ntype = conv\nshare = conv1\n");
  EXPECT_THAT(keys(made, "extra"), ElementsAre("type=conv", "share=conv1"));
}

TEST_F(Variant, LeavesLayersOut) {
  EXPECT_EQ(graph("[layer.bn1]\nremove = yes\n"),
            changed({{"bn1<conv1", ""},
                     {"stage1.0.conv<bn1", "stage1.0.conv<conv1"},
                     {"stage1.0.add<stage1.0.relu, bn1", "stage1.0.add<stage1.0.relu, conv1"}}));
  EXPECT_EQ(graph("[layer.stage1.1.relu]\nremove = yes\n"),
            changed({{"stage1.1.relu<stage1.1.conv", ""},
                     {"stage1.1.add<stage1.1.relu, stage1.0.add", "stage1.1.add<stage1.1.conv, stage1.0.add"}}));
  EXPECT_EQ(graph("[layer.stage*.0.relu]\nremove = yes\n"),
            changed({{"stage1.0.relu<stage1.0.conv", ""},
                     {"stage1.0.add<stage1.0.relu, bn1", "stage1.0.add<stage1.0.conv, bn1"},
                     {"stage2.0.relu<stage2.0.conv", ""},
                     {"stage2.0.add<stage2.0.relu, stage1.1.add", "stage2.0.add<stage2.0.conv, stage1.1.add"}}));
  EXPECT_EQ(graph("[layer.bn1]\nremove = no\n"), kPlain);
}

TEST_F(Variant, LeavesWholeBlocksOut) {
  EXPECT_EQ(graph("[layer.stage2]\nremove = yes\n"), changed({{"stage2.0.conv<stage1.1.add", ""},
                                                              {"stage2.0.relu<stage2.0.conv", ""},
                                                              {"stage2.0.add<stage2.0.relu, stage1.1.add", ""},
                                                              {"fc<stage2.0.add", "fc<stage1.1.add"}}));
}

TEST_F(Variant, SaysWhatReadersOfARemovedLayerGetWhereItReadsTwo) {
  EXPECT_EQ(graph("[layer.stage1.*.add]\nremove = yes\nfrom = stage1.*.relu\n"),
            changed({{"stage1.0.add<stage1.0.relu, bn1", ""},
                     {"stage1.1.conv<stage1.0.add", "stage1.1.conv<stage1.0.relu"},
                     {"stage1.1.add<stage1.1.relu, stage1.0.add", ""},
                     {"stage2.0.conv<stage1.1.add", "stage2.0.conv<stage1.1.relu"},
                     {"stage2.0.add<stage2.0.relu, stage1.1.add", "stage2.0.add<stage2.0.relu, stage1.1.relu"}}));
}

TEST_F(Variant, ReplacesALayerButForItsSources) {
  const std::string text = "[layer.conv1]\nreplace = yes\ntype = pg_conv\nbits = 3\n";
  EXPECT_EQ(graph(text), kPlain);
  EXPECT_THAT(keys(layers(text), "conv1"), ElementsAre("type=pg_conv", "bits=3"));
  EXPECT_THAT(keys(layers("", {"--layer.conv1.type=relu", "--layer.conv1.replace=yes"}), "conv1"),
              ElementsAre("type=relu"));
  EXPECT_THAT(keys(layers("[layer.conv1]\nreplace = no\nkernel = 5\n"), "conv1"),
              ElementsAre("type=conv", "channels=8", "kernel=5"));
}

TEST_F(Variant, ReplacesLayersOfBlocks) {
  const std::string one = "[layer.stage1.1.conv]\nreplace = yes\ntype = relu\n";
  EXPECT_EQ(graph(one), kPlain);
  EXPECT_THAT(keys(layers(one), "stage1.1.conv"), ElementsAre("type=relu"));
  EXPECT_THAT(keys(layers(one), "stage1.0.conv"), ElementsAre("type=conv", "channels=8"));
  const std::string all = "[layer.stage1.*.conv]\nreplace = yes\ntype = relu\n[layer.stage1.1.conv]\nslope = 2\n";
  EXPECT_THAT(keys(layers(all), "stage1.0.conv"), ElementsAre("type=relu"));
  EXPECT_THAT(keys(layers(all), "stage1.1.conv"), ElementsAre("type=relu", "slope=2"))
      << "a layer's own name goes before a pattern";
  const std::string block = "[block.basic.add]\nreplace = yes\ntype = concat\n";
  EXPECT_EQ(graph(block), kPlain);
  EXPECT_THAT(keys(layers(block), "stage2.0.add"), ElementsAre("type=concat"));
}

TEST_F(Variant, LeavesNoTraceInTheResolvedConfiguration) {
  Config config = load(
      "[layer.stage1.*.noise]\ntype = dropout\nafter = stage1.*.conv\n[layer.bn1]\nremove = yes\n"
      "[layer.conv1]\nreplace = yes\ntype = relu\n");
  std::vector<Section> flat = expand_layers(config);
  config.diagnostics().throw_if_errors();
  config.replace_layers(flat);
  const std::string text = config.resolved();
  for (const char* key : {"after", "remove", "replace", "*"}) EXPECT_EQ(text.find(key), std::string::npos) << key;
  Config again = Config::stored(text, "stored");
  EXPECT_EQ(expand_layers(again).size(), flat.size());
  EXPECT_THAT(again.diagnostics().errors(), IsEmpty());
}

struct Bad {
  const char* what;
  const char* text;
  std::vector<std::string> errors;
};

class BadVariant : public Variant, public testing::WithParamInterface<Bad> {};

TEST_P(BadVariant, IsRefusedWithTheseWords) {
  EXPECT_EQ(errors(GetParam().text), GetParam().errors);
}

const Bad kBad[] = {
    {"behind nothing",
     "[layer.x]\ntype = relu\nafter = cnov1\n",
     {"variant.ini:4: [layer.x] after: there is no layer 'cnov1'; did you mean 'conv1'?"}},
    {"behind itself", "[layer.x]\ntype = relu\nafter = x\n", {"variant.ini:4: [layer.x] after: there is no layer 'x'"}},
    {"behind labels",
     "[layer.x]\ntype = relu\nafter = labels\n",
     {"variant.ini:4: [layer.x] after: there is no layer 'labels'"}},
    {"behind a pattern that nothing fits",
     "[layer.stage1.*.x]\ntype = relu\nafter = stage1.*.cnov\n",
     {"variant.ini:4: [layer.stage1.*.x] after: no layer fits 'stage1.*.cnov'; did you mean 'stage1.0.conv'?"}},
    {"behind nothing in a block",
     "[block.basic.x]\ntype = relu\nafter = cnov\n",
     {"variant.ini:4: [block.basic.x] after: there is no layer 'cnov'; did you mean 'conv'?"}},
    {"two behind one",
     "[layer.x]\ntype = relu\nafter = conv1\n[layer.y]\ntype = relu\nafter = conv1\n",
     {"variant.ini:7: [layer.y] after: 'x' stands behind 'conv1' already; put this layer behind that one"}},
    {"two behind one by a pattern",
     "[layer.stage1.*.x]\ntype = relu\nafter = stage1.*.conv\n[layer.y]\ntype = relu\nafter = stage1.1.conv\n",
     {"variant.ini:7: [layer.y] after: 'stage1.1.x' stands behind 'stage1.1.conv' already; put this layer behind that "
      "one"}},
    {"behind two",
     "[layer.x]\ntype = relu\nafter = conv1, bn1\n",
     {"variant.ini:4: [layer.x] after: expected the name of a layer, got 'conv1, bn1'"}},
    {"behind an empty name",
     "[layer.x]\ntype = relu\nafter =\n",
     {"variant.ini:4: [layer.x] after: expected the name of a layer, got ''"}},
    {"several places for one name",
     "[layer.x]\ntype = relu\nafter = stage1.*.conv\n",
     {"variant.ini:4: [layer.x] after: expected as many '*' as in the layer's own name, 0, got 'stage1.*.conv'"}},
    {"one place for several names",
     "[layer.x.*]\ntype = relu\nafter = conv1\n",
     {"variant.ini:4: [layer.x.*] after: expected as many '*' as in the layer's own name, 1, got 'conv1'"}},
    {"a name that the network has",
     "[layer.stage1.*.relu]\ntype = relu\nafter = stage1.*.conv\n",
     {"net.ini:26: [block.basic.relu]: a second layer gets the name 'stage1.0.relu'",
      "net.ini:26: [block.basic.relu]: a second layer gets the name 'stage1.1.relu'"}},
    {"a pattern that nothing fits",
     "[layer.stage3.*.conv]\nkernel = 5\n",
     {"variant.ini:2: [layer.stage3.*.conv]: there is no such layer; did you mean 'layer.stage1.0.conv'?"}},
    {"two stars in a part",
     "[layer.stage1.**]\nkernel = 5\n",
     {"variant.ini:2: expected a section name of letters, digits, '_', '-' and single dots, got 'layer.stage1.**'"}},
    {"a star elsewhere",
     "[block.*.conv]\nkernel = 5\n",
     {"variant.ini:2: expected a section name of letters, digits, '_', '-' and single dots, got 'block.*.conv'"}},
    {"removing nothing",
     "[layer.cnov1]\nremove = yes\n",
     {"variant.ini:2: [layer.cnov1]: there is no such layer; did you mean 'layer.conv1'?"}},
    {"removing a layer that reads two",
     "[layer.stage2.0.add]\nremove = yes\n",
     {"variant.ini:3: [layer.stage2.0.add] remove: the layer reads stage2.0.relu, stage1.1.add; name the one that its "
      "readers get by 'from'"}},
    {"removing whose parameters are shared",
     "[layer.conv1]\nremove = yes\n[layer.x]\ntype = conv\nshare = conv1\n",
     {"variant.ini:6: [layer.x] share: 'conv1' is removed; name a single earlier layer"}},
    {"removing whose result is read",
     "[layer.fc]\nremove = yes\n[layer.x]\ntype = relu\nfrom = fc:mask\n",
     {"variant.ini:6: [layer.x] from: 'fc' is removed"}},
    {"no switch",
     "[layer.conv1]\nremove = maybe\n",
     {"variant.ini:3: [layer.conv1] remove: expected yes or no, got 'maybe'"}},
    {"replacing nothing",
     "[layer.cnov1]\nreplace = yes\ntype = conv\n",
     {"variant.ini:2: [layer.cnov1]: there is no such layer; did you mean 'layer.conv1'?"}},
    {"replacing nothing in a block",
     "[block.basic.cnov]\nreplace = yes\ntype = conv\n",
     {"variant.ini:3: [block.basic.cnov] replace: no file before this one describes the layer"}},
    {"a default of a type",
     "[type.conv]\nafter = conv1\nremove = yes\nreplace = yes\n",
     {"variant.ini:3: [type.conv] after: belongs to a single layer and cannot be a default of a type",
      "variant.ini:4: [type.conv] remove: belongs to a single layer and cannot be a default of a type",
      "variant.ini:5: [type.conv] replace: belongs to a single layer and cannot be a default of a type"}},
};

INSTANTIATE_TEST_SUITE_P(Edits, BadVariant, testing::ValuesIn(kBad), [](const testing::TestParamInfo<Bad>& bad) {
  std::string name = bad.param.what;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST_F(Variant, AnInsertionDoesNotFollowItselfWithoutEnd) {
  EXPECT_EQ(graph("[layer.a*]\ntype = relu\nafter = *\n").size(), kPlain.size() + 7)
      << "data, conv1, bn1, fc, loss, and the blocks as wholes";
}

TEST_F(Variant, OnlySoManyLayersStandBehindOneAnother) {
  std::string text = "[layer.x0]\ntype = relu\nafter = conv1\n";
  for (int i = 1; i <= 100; ++i) text += concat("[layer.x", i, "]\ntype = relu\nafter = x", i - 1, "\n");
  EXPECT_THAT(errors(text),
              ElementsAre("variant.ini:302: [layer.x100]: more than 100 layers are put behind one another"));
}

TEST(Patterns, MatchPartByPart) {
  using Stars = std::vector<std::string>;
  EXPECT_EQ(match_stars("layer1.*.conv1", "layer1.0.conv1"), Stars({"0"}));
  EXPECT_EQ(match_stars("layer*.*.conv1", "layer1.12.conv1"), Stars({"1", "12"}));
  EXPECT_EQ(match_stars("a*c", "abbc"), Stars({"bb"}));
  EXPECT_EQ(match_stars("conv1", "conv1"), Stars());
  for (const char* name : {"layer1.conv1", "layer1.0.conv2", "layer1.0.1.conv1", "layer1..conv1", "layer1.0.conv1.x"})
    EXPECT_EQ(match_stars("layer1.*.conv1", name), std::nullopt) << name;
  EXPECT_EQ(match_stars("a*c", "ac"), std::nullopt) << "a star stands for something";
  EXPECT_EQ(fill_stars("x*.*, y*, *.*.*", {"1", "2"}), "x1.2, y1, 1.2.*");
}

}  // namespace
}  // namespace sluice
