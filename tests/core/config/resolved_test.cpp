// The resolved configuration: its exact text, and that it loads back to the same values, whatever they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/config/blocks.hpp"
#include "core/config/compare.hpp"
#include "core/config/config.hpp"
#include "core/config/substitute.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Reads `[run]` and every layer, as a program does, and leaves the resolved text.
std::string resolve(Config& config) {
  Keys run(config.section("run"), config.diagnostics());
  std::int64_t seed = 1;
  std::string note = "a # b", dir;
  run.optional("seed", seed, at_least(0), "");
  run.optional("note", note, "");
  run.optional("dir", dir, "");
  std::vector<Section> layers = expand_layers(config);
  for (Section& layer : layers) {
    Keys keys(layer, config.diagnostics());
    std::string type, from;
    std::int64_t channels = 8, stride = 1, partitions = 2;
    double momentum = 0.1;
    keys.required("type", type, "");
    keys.required("from", from, "");
    if (type == "batchnorm") keys.optional("momentum", momentum, between(0.0, 1.0), "");
    if (type == "cg_conv") keys.optional("partitions", partitions, at_least(1), "");
    if (type != "conv" && type != "cg_conv") continue;
    keys.optional("channels", channels, at_least(1), "");
    keys.optional("stride", stride, at_least(1), "");
  }
  config.replace_layers(std::move(layers));
  config.check();
  return config.resolved();
}

std::string without_origins(const std::string& text) {
  std::string result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t origin = line.rfind("  # ");
    result += line.substr(0, line.find_last_not_of(' ', origin) + 1) + "\n";
  }
  return result;
}

const char kNetwork[] = R"([define]
conv = conv
[layer.stem]
type = conv
channels = 4
[layer.stage]
block = basic
repeat = 2
channels = 6
stride = 2
[layer.head]
type = linear
from = stage, stem
[block.basic]
parameters = channels, stride=1
first_only = stride
[block.basic.conv]
type = ${conv}
channels = ${channels}
stride = ${stride}
[block.basic.bn]
type = batchnorm
[type.batchnorm]
momentum = 0.2
[type.cg_conv]
partitions = 4
[run]
note = "  $${kept} # "
)";

TEST(Resolved, IsFlatAndTellsWhereEveryValueComesFrom) {
  Config config = Config::parse(kNetwork, "net.ini", {"--define.conv=cg_conv", "--run.seed=7"});
  EXPECT_EQ(resolve(config),
            "[layer.stem]\n"
            "type = conv   # net.ini:4\n"
            "channels = 4  # net.ini:5\n"
            "from = data   # default\n"
            "stride = 1    # default\n"
            "\n"
            "[layer.stage.0.conv]\n"
            "type = cg_conv  # command line\n"
            "channels = 6    # net.ini:19\n"
            "stride = 2      # net.ini:20\n"
            "from = stem     # default\n"
            "partitions = 4  # net.ini:26\n"
            "\n"
            "[layer.stage.0.bn]\n"
            "type = batchnorm     # net.ini:22\n"
            "from = stage.0.conv  # default\n"
            "momentum = 0.2       # net.ini:24\n"
            "\n"
            "[layer.stage.1.conv]\n"
            "type = cg_conv     # command line\n"
            "channels = 6       # net.ini:19\n"
            "stride = 1         # net.ini:20\n"
            "from = stage.0.bn  # default\n"
            "partitions = 4     # net.ini:26\n"
            "\n"
            "[layer.stage.1.bn]\n"
            "type = batchnorm     # net.ini:22\n"
            "from = stage.1.conv  # default\n"
            "momentum = 0.2       # net.ini:24\n"
            "\n"
            "[layer.head]\n"
            "type = linear            # net.ini:12\n"
            "from = stage.1.bn, stem  # net.ini:13\n"
            "\n"
            "[run]\n"
            "note = \"  $${kept} # \"  # net.ini:28\n"
            "seed = 7                # command line\n"
            "dir = \"\"                # default\n");
}

TEST(Resolved, LoadsBackToTheSameConfigurationAndTheSameText) {
  Config config = Config::parse(kNetwork, "net.ini", {"--define.conv=cg_conv"});
  const std::string first = resolve(config);
  Config again = Config::parse(first, "resolved.ini");
  EXPECT_THAT(compare(config, again), IsEmpty());
  const std::string second = resolve(again);
  EXPECT_EQ(without_origins(first), without_origins(second));
  EXPECT_THAT(compare(config, again), IsEmpty());
  EXPECT_EQ(again.find("run")->find("note")->value, "  ${kept} # ");
}

TEST(Resolved, KeepsDefaultsThatLaterVersionsMightChange) {
  Config config = Config::parse("", "a.ini");
  const std::string text = resolve(config);
  EXPECT_EQ(text, "[run]\nseed = 1        # default\nnote = \"a # b\"  # default\ndir = \"\"        # default\n");
  Config again = Config::parse(text, "a.ini");
  EXPECT_EQ(again.find("run")->find("note")->value, "a # b");
}

TEST(Resolved, KeepsEmptySectionsAndBlocksThatAreNotExpanded) {
  const std::string text =
      "[layer.x]\nblock = b\n\n[empty]\n\n[block.b]\nparameters = c=1\n\n[block.b.l]\nnote = ${c} $${c}\n";
  Config config = Config::parse(text, "a.ini");
  EXPECT_EQ(without_origins(config.resolved()), text);
}

std::string random_value(Random& random) {
  const std::string alphabet = "\"\\#; \t\n\r=[]${}',abc:-.\v\x01\xC3\xA9";
  std::string value;
  for (std::uint64_t length = random.below(12); length > 0; --length) value += alphabet[random.below(alphabet.size())];
  return value;
}

TEST(Resolved, EveryValueMakesTheRoundTrip) {
  Random random(5, Purpose::kTest);
  for (int i = 0; i < 3000; ++i) {
    std::map<std::string, std::string> values;
    std::vector<std::string> overrides;
    for (const char* key : {"text.a", "text.b", "layer.x.note"}) {
      values[key] = random_value(random);
      overrides.push_back(std::string("--") + key + "=" + escape_dollars(values[key]));
    }
    Config config = Config::parse("[text]\n[layer.x]\ntype = t\n", "a.ini", overrides);
    ASSERT_THAT(config.diagnostics().errors(), IsEmpty());
    config.replace_layers(expand_layers(config));
    const std::string text = config.resolved();
    Config again = Config::parse(text, "b.ini");
    ASSERT_THAT(again.diagnostics().errors(), IsEmpty()) << text;
    ASSERT_EQ(again.find("text")->find("a")->value, values["text.a"]) << text;
    ASSERT_EQ(again.find("text")->find("b")->value, values["text.b"]) << text;
    ASSERT_EQ(again.find("layer.x")->find("note")->value, values["layer.x.note"]) << text;
    ASSERT_EQ(without_origins(again.resolved()), without_origins(text));
  }
}

/// A value with a random choice of what must survive substitution, and what it stands for with c = `argument`.
std::pair<std::string, std::string> random_template(Random& random, const std::string& argument) {
  std::pair<std::string, std::string> result;
  for (std::uint64_t parts = random.below(5); parts > 0; --parts) {
    switch (random.below(6)) {
      case 0:
        result.first += "${c}", result.second += argument;
        break;
      case 1:
        result.first += "$${c}", result.second += "${c}";
        break;
      case 2:
        result.first += "${d}", result.second += "${literal}";
        break;
      case 3:
        result.first += "${env:SLUICE_TEST_DOLLAR}", result.second += "${c}";
        break;
      case 4:
        result.first += "${env:SLUICE_NONE:-<${c}$${d}>}", result.second += "<" + argument + "${d}>";
        break;
      default:
        result.first += "a}", result.second += "a}";
    }
  }
  return result;
}

TEST(Resolved, EscapesSurviveTheExpansionOfBlocks) {
  ASSERT_EQ(::setenv("SLUICE_TEST_DOLLAR", "${c}", 1), 0);
  ASSERT_EQ(::unsetenv("SLUICE_NONE"), 0);
  Random random(6, Purpose::kTest);
  for (int i = 0; i < 1000; ++i) {
    const std::string argument = random.below(2) == 0 ? "7" : "${x}";
    const auto [written, meant] = random_template(random, argument);
    Config config =
        Config::parse("[define]\nd = $${literal}\nuse = ${d}\n[run]\nnote = ${use}\n[layer.l]\nblock = b\nc = " +
                          escape_dollars(argument) + "\n[block.b]\nparameters = c\n[block.b.x]\ntype = t\nnote = \"" +
                          written + "\"\n",
                      "a.ini");
    const std::vector<Section> layers = expand_layers(config);
    ASSERT_THAT(config.diagnostics().errors(), IsEmpty()) << written;
    ASSERT_EQ(layers.at(0).find("note")->value, meant) << written;
  }
}

}  // namespace
}  // namespace sluice
