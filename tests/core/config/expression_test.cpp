// Integer arithmetic in configurations: values, names that look like it, blocks, and the text of every mistake.
#include "core/config/expression.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/config/blocks.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Expression, Computes) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"2*3", 6},       {"1 + 2*3", 7},    {"(1 + 2)*3", 9}, {"12/4/3", 1},
      {"12/(4/2)", 6},  {"7 - 2 - 1", 4},  {"-3*-2", 6},     {"2 - -3", 5},
      {"-(1 + 2)", -3}, {"0/5", 0},        {"-6/3", -2},     {"\t4 *  5 ", 20},
      {"((((7))))", 7}, {"-6/-1 * 2", 12}, {"6*7", 42},      {"9223372036854775807 + 0", 9223372036854775807},
  };
  for (const auto& [text, value] : cases) EXPECT_EQ(evaluate(text), value) << text;
}

TEST(Expression, NamesMayHoldAMinus) {
  for (const char* name : {"width", "base-width", "a.b", "x_1", "width-1"}) EXPECT_FALSE(is_expression(name)) << name;
  for (const char* text : {"2*width", "width -1", "(a)", "a+b", "a/2"}) EXPECT_TRUE(is_expression(text)) << text;
}

std::string message_of(const std::string& text) {
  try {
    evaluate(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  return "no error";
}

TEST(Expression, RefusesMistakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"2*", "expected a number or a name, got nothing"},
      {"*2", "expected a number or a name, got '*2'"},
      {"2 3", "expected + - * or /, got '3'"},
      {"(2", "')' is missing"},
      {"2)", "expected + - * or /, got ')'"},
      {"()", "expected a number or a name, got ')'"},
      {"64/3", "64 / 3 leaves a remainder"},
      {"64/(2 - 2)", "division by zero"},
      {"9223372036854775807 + 1", "the result is too large"},
      {"4611686018427387904*2", "the result is too large"},
      {"-9223372036854775807 - 2", "the result is too large"},
      {"(-9223372036854775807 - 1)/-1", "the result is too large"},
      {"99999999999999999999*1", "the result is too large"},
      {"1.5*2", "expected + - * or /, got '.5*2'"},
      {"2^3 + 1", "expected + - * or /, got '^3 + 1'"},
  };
  for (const auto& [text, why] : cases)
    EXPECT_EQ(message_of(text), std::string("cannot compute '") + text + "': " + why);
  EXPECT_THAT(message_of(std::string(100000, '(')), testing::EndsWith("too many parentheses or signs"));
  EXPECT_THAT(message_of(std::string(100000, '-') + "1"), testing::EndsWith("too many parentheses or signs"));
}

std::string value_of(Config& config, const std::string& section, const std::string& key) {
  const Entry* entry = config.section(section).find(key);
  return entry == nullptr ? "absent" : entry->value;
}

TEST(Expression, StandsWhereANameCan) {
  Config config = Config::parse(
      "[define]\nwidth = 8\ndouble = ${2*width}\nless = -3\n[a]\nx = ${double*(width + 1)}\ny = n${width/4}m\n"
      "z = ${less*width - less}\n",
      "a.ini", {"--define.width=16"});
  EXPECT_THAT(config.diagnostics().errors(), IsEmpty());
  EXPECT_EQ(value_of(config, "a", "x"), "544");
  EXPECT_EQ(value_of(config, "a", "y"), "n4m");
  EXPECT_EQ(value_of(config, "a", "z"), "-45");
  EXPECT_EQ(config.section("a").find("x")->origin, Entry::Origin::kCommandLine);
}

TEST(Expression, MixesDefinitionsAndParametersOfABlock) {
  Config config = Config::parse(
      "[define]\nfactor = -2\n[layer.x]\nblock = b\nchannels = 8\n[layer.y]\nblock = b\nchannels = 8\nhalf = 1\n"
      "[block.b]\nparameters = channels, half=${channels/2}\n"
      "[block.b.c]\ntype = conv\nchannels = ${channels*3 + half}\npad = ${channels + factor*half}\n",
      "n.ini");
  const std::vector<Section> layers = expand_layers(config);
  EXPECT_THAT(config.diagnostics().errors(), IsEmpty());
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].find("channels")->value, "28");
  EXPECT_EQ(layers[0].find("pad")->value, "0");
  EXPECT_EQ(layers[1].find("channels")->value, "25");
  EXPECT_EQ(layers[1].find("pad")->value, "6");
}

TEST(Expression, BlocksKnowTheirRepetition) {
  const auto channels = [](const std::string& head, const std::string& more = "") {
    Config config =
        Config::parse(head + "[layer.x]\nblock = b\nrepeat = 3\n" + more + "[layer.y]\nblock = b\n[block.b]\n" +
                          (more.empty() ? "" : "parameters = repetition=7\n") +
                          "[block.b.c]\ntype = conv\nchannels = ${2*repetition + 1}\nname = n${repetition}\n",
                      "n.ini");
    std::string all;
    for (const Section& layer : expand_layers(config))
      all += layer.find("channels")->value + layer.find("name")->value + " ";
    EXPECT_THAT(config.diagnostics().errors(), IsEmpty());
    return all;
  };
  EXPECT_EQ(channels(""), "1n0 3n1 5n2 1n0 ");
  EXPECT_EQ(channels("[define]\nrepetition = 4\n"), "9n4 9n4 9n4 9n4 ");  // a definition of that name
  EXPECT_EQ(channels("", "repetition = 5\n"), "11n5 11n5 11n5 15n7 ");    // a parameter
}

TEST(Choice, TakesTheTextBehindTheValue) {
  const std::string text =
      "[define]\nstem = 32\nwidth = 8\n[a]\nkernel = ${stem: 32 = 3, 224 = 7}\nname = net_${stem:32=small,224=large}\n"
      "channels = ${stem: 32 = ${2*width}, 224 = ${width}}\nnone = ${stem: 32 = , 224 = x}\n"
      "[block.b]\nparameters = c\n[block.b.x]\ntype = conv\nchannels = ${stem: 32 = ${2*c}, 224 = ${c}}\n"
      "[layer.l]\nblock = b\nc = 3\n";
  Config small = Config::parse(text, "a.ini");
  EXPECT_EQ(value_of(small, "a", "kernel"), "3");
  EXPECT_EQ(value_of(small, "a", "name"), "net_small");
  EXPECT_EQ(value_of(small, "a", "channels"), "16");
  EXPECT_EQ(value_of(small, "a", "none"), "");
  EXPECT_EQ(expand_layers(small).front().find("channels")->value, "6");
  EXPECT_THAT(small.diagnostics().errors(), IsEmpty());
  Config large = Config::parse(text, "a.ini", {"--define.stem=224"});
  EXPECT_EQ(value_of(large, "a", "kernel"), "7");
  EXPECT_EQ(value_of(large, "a", "name"), "net_large");
  EXPECT_EQ(value_of(large, "a", "channels"), "8");
  EXPECT_EQ(large.section("a").find("kernel")->origin, Entry::Origin::kCommandLine);
}

TEST(Choice, MistakesHaveAPlace) {
  Config config = Config::parse(
      "[define]\nstem = 64\n[a]\nx = ${stem: 32 = 3, 224 = 7}\ny = ${stme: 64 = 3}\nz = ${stem: 3}\nv = ${stem:}\n",
      "a.ini");
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("a.ini:4: [a] x: stem is '64', expected one of 32, 224 (${stem} is set at a.ini:2)",
                          "a.ini:5: [a] y: unknown name ${stme}; did you mean 'stem'?",
                          "a.ini:6: [a] z: expected VALUE = TEXT behind 'stem:', got '3' (${stem} is set at a.ini:2)",
                          "a.ini:7: [a] v: expected VALUE = TEXT behind 'stem:', got nothing (${stem} is set at "
                          "a.ini:2)"));
}

TEST(Expression, MistakesHaveAPlace) {
  Config config = Config::parse(
      "[define]\nwidth = 8\nname = wide\n[a]\nx = ${3*widht}\ny = ${width/3}\nz = ${2*name}\nv = ${2*}\n", "a.ini");
  EXPECT_THAT(
      config.diagnostics().errors(),
      ElementsAre("a.ini:5: [a] x: unknown name ${widht}; did you mean 'width'?",
                  "a.ini:6: [a] y: cannot compute '8/3': 8 / 3 leaves a remainder (${width} is set at a.ini:2)",
                  "a.ini:7: [a] z: cannot compute '2*name': name is 'wide', not an integer (${name} is set at a.ini:3)",
                  "a.ini:8: [a] v: cannot compute '2*': expected a number or a name, got nothing"));
}

TEST(Expression, MistakesInBlocksHaveAPlace) {
  Config config = Config::parse(
      "[layer.x]\nblock = b\nchannels = 9\n[layer.y]\nblock = b\nchannels = wide\n"
      "[block.b]\nparameters = channels, half=${channels/2}\n[block.b.c]\ntype = conv\nchannels = ${channels*2}\n"
      "pad = ${half}\nstride = ${2*unknown}\n",
      "n.ini");
  expand_layers(config);
  EXPECT_THAT(
      config.diagnostics().errors(),
      ElementsAre("n.ini:8: [block.b] parameters: cannot compute '9/2': 9 / 2 leaves a remainder (${channels} "
                  "is set at n.ini:3)",
                  "n.ini:8: [block.b] parameters: cannot compute 'channels/2': channels is 'wide', not an "
                  "integer (${channels} is set at n.ini:6)",
                  "n.ini:11: [block.b.c] channels: cannot compute 'channels*2': channels is 'wide', not an "
                  "integer (${channels} is set at n.ini:6)",
                  "n.ini:13: [block.b.c] stride: unknown name ${unknown}; known names: channels, half, repetition"));
}

}  // namespace
}  // namespace sluice
