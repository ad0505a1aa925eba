// Lists with quotes: what is an item, what is refused, and that items survive being written into a file.
#include "core/config/list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/config/compare.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string problem_of(const std::string& text) {
  try {
    parse_list(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(List, ItemsInQuotesHoldCommas) {
  EXPECT_THAT(parse_list("a, b c ,d"), ElementsAre("a", "b c", "d"));
  EXPECT_THAT(parse_list(R"("a, b", c)"), ElementsAre("a, b", "c"));
  EXPECT_THAT(parse_list(R"(c , "a, \"b\"\\" )"), ElementsAre("c", R"(a, "b"\)"));
  EXPECT_THAT(parse_list(R"(5" pipe, b"c")"), ElementsAre("5\" pipe", "b\"c\""));
  EXPECT_THAT(parse_list(R"("\xe9\u202e", x)"), ElementsAre("\xE9\xE2\x80\xAE", "x"));
  EXPECT_THAT(parse_list(" "), IsEmpty());
}

TEST(List, QuotesThatAreNotWholeAreRefused) {
  EXPECT_EQ(problem_of(R"(a, "b)"), R"(the quoted value has no closing '"': '"b')");
  EXPECT_EQ(problem_of(R"("a" b, c)"), R"(unexpected text after the closing '"': 'b')");
  EXPECT_EQ(problem_of(R"("\q")"), R"(unknown escape '\q' in a quoted value; known are \" \\ \n \r \t \xHH \uHHHH)");
  EXPECT_EQ(problem_of(R"("\xg1")"), R"(expected 2 hexadecimal digits of a character behind '\x')");
  EXPECT_EQ(problem_of(R"("\u0000")"), R"(expected 4 hexadecimal digits of a character behind '\u')");
}

TEST(List, AValueIsItsItems) {
  Config config = Config::parse("[s]\na = b, \"c, d\"\ne = \"f, g\"\nh =\n", "a.ini");
  EXPECT_THAT(config.find("s")->find("a")->items(), ElementsAre("b", "c, d"));
  EXPECT_THAT(config.find("s")->find("e")->items(), ElementsAre("f, g")) << "in quotes as a whole";
  EXPECT_THAT(config.find("s")->find("h")->items(), IsEmpty());
  EXPECT_THAT(list_or_item(R"("a" b, c)"), ElementsAre(R"("a" b, c)")) << "no list";
}

struct Names {
  std::vector<std::string> names;
  void describe(Keys& keys) { keys.optional("names", names, ""); }
};

std::vector<std::string> read(Config& config) {
  const std::vector<std::string> names = config.read<Names>("s").names;
  EXPECT_THAT(config.diagnostics().errors(), IsEmpty());
  return names;
}

TEST(List, AKeyTakesQuotesFromFilesDefinitionsAndTheCommandLine) {
  const auto items = [](const std::string& text, const std::vector<std::string>& overrides = {}) {
    Config config = Config::parse(text, "a.ini", overrides);
    return read(config);
  };
  EXPECT_THAT(items("[s]\nnames = \"a, b\"\n"), ElementsAre("a, b"));
  EXPECT_THAT(items("[s]\nnames = \"a # 1, b\", c # d\n"), ElementsAre("a # 1, b", "c"));
  EXPECT_THAT(items("[s]\nnames = c, \"a # 1, b\" ; d\n"), ElementsAre("c", "a # 1, b"));
  EXPECT_THAT(items("[define]\nd = \"a, b\"\n[s]\nnames = ${d}\n"), ElementsAre("a, b"));
  EXPECT_THAT(items("[define]\nd = a, b\n[s]\nnames = \"${d}\", c\n"), ElementsAre("a, b", "c"));
  EXPECT_THAT(items("", {"--s.names=\"a, b\",c"}), ElementsAre("a, b", "c"));
  EXPECT_THAT(items("", {"--s.names=a,b"}), ElementsAre("a", "b"));
}

TEST(List, IsWrittenSoThatItLoadsBack) {
  const std::string alphabet = "\"\\, #;ab\n\xC3\xA9$";
  Random random(5, Purpose::kTest);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::string> items;
    for (std::uint64_t count = 1 + random.below(3); count > 0; --count) {
      std::string item = "x";
      for (std::uint64_t length = random.below(6); length > 0; --length)
        item += alphabet[random.below(alphabet.size())];
      items.push_back(item.substr(random.below(2)).empty() ? item : item.substr(random.below(2)));
      if (items.back().empty()) items.back() = "y";
    }
    Config config = Config::parse("", "a.ini", {"--s.names=" + list_text(items)});
    ASSERT_EQ(read(config), items) << list_text(items);
    Config again = Config::parse(config.resolved(), "b.ini");
    ASSERT_THAT(compare(config, again), IsEmpty()) << config.resolved();
    ASSERT_EQ(read(again), items) << config.resolved();
    ASSERT_THAT(compare(config, again), IsEmpty()) << config.resolved();
  }
}

struct Note {
  std::string note;
  void describe(Keys& keys) { keys.optional("note", note, ""); }
};

TEST(List, WhereOneTextIsExpectedItIsRefused) {
  Config config = Config::parse("[s]\nnote = \"a\", \"b\"\n", "a.ini");
  config.read<Note>("s");
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("a.ini:2: [s] note: expected one text and not a list, got '\"a\", \"b\"'"));
}

}  // namespace
}  // namespace sluice
