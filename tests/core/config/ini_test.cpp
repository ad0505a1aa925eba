// The INI reader: what it takes, the exact words about what it does not, and values that survive being written.
#include "core/config/ini.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/random.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// The value of `x` in "[s]\nx = <text>".
std::string value_of(const std::string& text) {
  Diagnostics diagnostics;
  const IniFile file = read_ini("[s]\nx = " + text + "\n", "a.ini", diagnostics);
  EXPECT_THAT(diagnostics.errors(), IsEmpty()) << text;
  return file.sections.at(0).entries.at(0).value;
}

std::vector<std::string> errors_of(const std::string& text) {
  Diagnostics diagnostics;
  read_ini(text, "a.ini", diagnostics);
  return diagnostics.errors();
}

TEST(Ini, CommentsStartAtALineOrAfterWhiteSpaceOnly) {
  EXPECT_EQ(value_of("a#b"), "a#b");
  EXPECT_EQ(value_of("a;b"), "a;b");
  EXPECT_EQ(value_of("a #b"), "a");
  EXPECT_EQ(value_of("a\t;b"), "a");
  EXPECT_EQ(value_of("# nothing"), "");
  EXPECT_EQ(value_of("a = b"), "a = b");
}

TEST(Ini, QuotedValuesKeepCommentsBlanksAndEscapes) {
  EXPECT_EQ(value_of(R"("a # b" # c)"), "a # b");
  EXPECT_EQ(value_of(R"("  a  ")"), "  a  ");
  EXPECT_EQ(value_of(R"("")"), "");
  EXPECT_EQ(value_of(R"("\"\\\n\r\t";c)"), "\"\\\n\r\t");
  EXPECT_EQ(value_of(R"(a "b")"), R"(a "b")");
}

TEST(Ini, KnowsTheLineOfEverything) {
  Diagnostics diagnostics;
  const IniFile file = read_ini("\xEF\xBB\xBFinclude = a.ini\r\n\r\n[one]\r\n x = 1\r\n# c\r\n[two]\r\n[three]\r\ny=2",
                                "a.ini", diagnostics);
  EXPECT_THAT(diagnostics.errors(), IsEmpty());
  ASSERT_EQ(file.includes.size(), 1u);
  EXPECT_EQ(file.includes[0].value, "a.ini");
  EXPECT_EQ(file.includes[0].line, 1);
  ASSERT_EQ(file.sections.size(), 3u);
  EXPECT_EQ(file.sections[0].line, 3);
  EXPECT_EQ(file.sections[0].entries.at(0).line, 4);
  EXPECT_EQ(file.sections[1].name, "two");
  EXPECT_THAT(file.sections[1].entries, IsEmpty());
  EXPECT_EQ(file.sections[2].entries.at(0).value, "2");
  EXPECT_EQ(file.sections[2].entries.at(0).line, 8);
}

struct Bad {
  const char* text;
  std::vector<std::string> errors;
};

class BadIni : public testing::TestWithParam<Bad> {};

TEST_P(BadIni, IsRefusedWithTheseWords) {
  EXPECT_EQ(errors_of(GetParam().text), GetParam().errors);
}

const Bad kBad[] = {
    {"[train\nx = 1\n", {"a.ini:1: a section's name ends with ']', got '[train'"}},
    {"[train] x = 1\n", {"a.ini:1: unexpected text after ']': 'x = 1'"}},
    {"[train]# no blank\n", {"a.ini:1: unexpected text after ']': '# no blank'"}},
    {"[]\n", {"a.ini:1: expected a section name of letters, digits, '_', '-' and single dots, got ''"}},
    {"[my train]\n", {"a.ini:1: expected a section name of letters, digits, '_', '-' and single dots, got 'my train'"}},
    {"[layer..x]\n", {"a.ini:1: expected a section name of letters, digits, '_', '-' and single dots, got 'layer..x'"}},
    {"[${x}]\n", {"a.ini:1: expected a section name of letters, digits, '_', '-' and single dots, got '${x}'"}},
    {"[a]\nbatch 128 # c\n", {"a.ini:2: [a]: expected 'key = value' or '[section]', got 'batch 128'"}},
    {"[a]\n= 3\n", {"a.ini:2: [a]: expected a key of letters, digits, '_' and '-' before '=', got ''"}},
    {"[a]\nbatch size = 3\n",
     {"a.ini:2: [a]: expected a key of letters, digits, '_' and '-' before '=', got 'batch size'"}},
    {"x = 1\n[a]\n", {"a.ini:1: x: the key stands before the first section; only 'include = FILE' may stand there"}},
    {"include =\n", {"a.ini:1: include: expected a file name, got ''"}},
    {"[a]\ninclude = b.ini\n", {"a.ini:2: [a] include: includes stand before the first section"}},
    {"[a]\nx = 1\ny = 2\nx = 3\n", {"a.ini:4: [a] x: the key stands already in line 2"}},
    {"[a]\nx = 1\n[b]\n[a]\ny = 2\nx = 1\n",
     {"a.ini:4: [a]: the section stands already in line 1; join the two",
      "a.ini:6: [a] x: the key stands already in line 2"}},
    {"[a]\nx = \"open\n", {"a.ini:2: [a] x: the quoted value has no closing '\"': '\"open'"}},
    {"[a]\nx = \"a\" b\n", {"a.ini:2: [a] x: unexpected text after the closing '\"': 'b'"}},
    {"[a]\nx = \"a\\d\"\n",
     {R"(a.ini:2: [a] x: unknown escape '\d' in a quoted value; known are \" \\ \n \r \t \xHH \uHHHH)"}},
    {"[a]\nx = \"a\\\n",
     {R"(a.ini:2: [a] x: unknown escape '\' in a quoted value; known are \" \\ \n \r \t \xHH \uHHHH)"}},
    {"foo\n[a\n[b]\nbar\n",
     {"a.ini:1: expected 'key = value' or '[section]', got 'foo'", "a.ini:2: a section's name ends with ']', got '[a'",
      "a.ini:4: [b]: expected 'key = value' or '[section]', got 'bar'"}},
    {"\x01\x02 long long long long long long long long long long long long long long long long long end\n",
     {"a.ini:1: expected 'key = value' or '[section]', got '\\x01\\x02 long long long long long long long long long "
      "long long "
      "long long long long...'"}},
};

TEST(Ini, TooManyKeysSectionsAndLettersEndInALine) {
  std::string keys = "[a]\n", sections;
  for (int i = 0; i < 60000; ++i) keys += "k" + std::to_string(i) + " = 1\n";
  for (int i = 0; i < 30002; ++i) sections += "[s" + std::to_string(i) + "]\n";
  EXPECT_THAT(errors_of(keys), ElementsAre("a.ini:1002: [a]: the section has more than 1000 keys"));
  EXPECT_THAT(errors_of(sections), ElementsAre("a.ini:30001: the file has more than 30000 sections",
                                               "a.ini:30002: the file has more than 30000 sections"));
  EXPECT_THAT(errors_of("[a]\n" + std::string(1001, 'x') + " = 1\n"),
              ElementsAre("a.ini:2: [a]: a name has at most 1000 characters"));
}

INSTANTIATE_TEST_SUITE_P(Ini, BadIni, testing::ValuesIn(kBad));

TEST(Ini, LinesUnderABrokenHeaderAreNotTakenForThoseOfTheSectionBefore) {
  Diagnostics diagnostics;
  const IniFile file = read_ini("[a]\nx = 1\n[b\nx = 2\n", "a.ini", diagnostics);
  EXPECT_EQ(file.sections.at(0).entries.at(0).value, "1");
  EXPECT_EQ(diagnostics.errors().size(), 1u);
}

TEST(Ini, EveryValueSurvivesBeingWritten) {
  const std::string alphabet = "\"\\#; \t\n\r=[]${}',ab\v\x7F\xC3";
  Random random(3, Purpose::kTest);
  for (int i = 0; i < 20000; ++i) {
    std::string value;
    for (std::uint64_t length = random.below(9); length > 0; --length) value += alphabet[random.below(alphabet.size())];
    ASSERT_EQ(value_of(ini_value(value)), value);
    ASSERT_EQ(value_of(ini_value(value) + "  # a comment"), value);
  }
}

TEST(Ini, PlainValuesAreWrittenPlainly) {
  for (const char* plain : {"3", "a#b", "configs/a b.ini", "a \"b\"", "1, 2, 3", "\\"})
    EXPECT_EQ(ini_value(plain), plain);
  EXPECT_EQ(ini_value(""), "\"\"");
  EXPECT_EQ(ini_value(" a"), "\" a\"");
  EXPECT_EQ(ini_value("a #b"), "\"a #b\"");
}

TEST(NearestMatch, AllowsAFewEditsAndNoMore) {
  const std::vector<std::string> words = {"epochs", "batch", "lr", "weight_decay", "momentum"};
  EXPECT_EQ(nearest_match("epoch", words), "epochs");
  EXPECT_EQ(nearest_match("Batch", words), "batch");
  EXPECT_EQ(nearest_match("bacth", words), "batch") << "a swap is one edit";
  EXPECT_EQ(nearest_match("weigth_decay", words), "weight_decay");
  EXPECT_EQ(nearest_match("weightdecay", words), "weight_decay");
  EXPECT_EQ(nearest_match("l", words), "");
  EXPECT_EQ(nearest_match("xy", words), "");
  EXPECT_EQ(nearest_match("kernel", words), "");
  EXPECT_EQ(nearest_match("", words), "");
  EXPECT_EQ(nearest_match("LR", words), "lr");
}

}  // namespace
}  // namespace sluice
