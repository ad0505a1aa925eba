// Typed keys: every kind of value, its bounds, the words about wrong ones, and the documentation.
#include "core/config/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

enum class Pool { kMax, kAverage };

struct Everything {
  bool flag = true;
  std::int64_t any = 7, low = 7, both = 7, high = 1;
  double number = 0.5, above = 0.5, share = 0.5, least = 2;
  std::string text = "as is";
  std::vector<std::int64_t> integers = {1, 2};
  std::vector<double> numbers = {0.25};
  std::vector<std::string> texts = {"a", "b c"};
  Pool pool = Pool::kAverage;

  void describe(Keys& keys) {
    keys.optional("flag", flag, "");
    keys.optional("any", any, any_integer(), "");
    keys.optional("low", low, at_least(1), "");
    keys.optional("both", both, between(1, 8), "");
    keys.optional("high", high, {std::numeric_limits<std::int64_t>::min(), 5}, "");
    keys.optional("number", number, any_number(), "");
    keys.optional("above", above, above_zero(), "");
    keys.optional("share", share, between(0.0, 1.0), "");
    keys.optional("least", least, at_least(1.5), "");
    keys.optional("text", text, "");
    keys.optional("integers", integers, at_least(1), "");
    keys.optional("numbers", numbers, between(0.0, 1.0), "");
    keys.optional("texts", texts, "");
    keys.choice<Pool>("pool", pool, {{"max", Pool::kMax}, {"average", Pool::kAverage}}, "");
  }
};

Everything read(const std::string& key, const std::string& value, std::vector<std::string>* errors = nullptr) {
  Config config = Config::parse("[s]\n" + key + " = " + value + "\n", "a.ini");
  const Everything result = config.read<Everything>("s");
  if (errors != nullptr) {
    *errors = config.diagnostics().errors();
  } else {
    EXPECT_THAT(config.diagnostics().errors(), IsEmpty());
  }
  return result;
}

struct Renamed {
  std::int64_t width = 1;
  void describe(Keys& keys) {
    keys.renamed("channels", "width");
    keys.optional("width", width, at_least(1), "");
  }
};

TEST(Keys, AnOldNameIsReadWithANote) {
  Config config = Config::parse("[s]\nchannels = 5\n", "a.ini");
  EXPECT_EQ(config.read<Renamed>("s").width, 5);
  config.check();
  EXPECT_THAT(config.diagnostics().notes(), ElementsAre("a.ini:2: [s] channels: is called width now"));
  EXPECT_THAT(config.diagnostics().warnings(), IsEmpty());
  EXPECT_EQ(config.find("s")->find("width")->value, "5");
  EXPECT_EQ(config.find("s")->find("channels"), nullptr);
}

TEST(Keys, AnOldNameInACheckpointNeedsNoNote) {
  Config config = Config::stored("[s]\nchannels = 5\n", "a.h5");
  EXPECT_EQ(config.read<Renamed>("s").width, 5);
  EXPECT_THAT(config.diagnostics().notes(), IsEmpty());
}

TEST(Keys, ANoteIsSaidOnce) {
  Diagnostics diagnostics;
  for (const char* text : {"a", "b", "a"}) diagnostics.note(text);
  EXPECT_THAT(diagnostics.notes(), ElementsAre("a", "b"));
}

TEST(Keys, OfAnOldAndANewNameTheCommandLineCounts) {
  Config both = Config::parse("[s]\nchannels = 5\nwidth = 6\n", "a.ini");
  both.read<Renamed>("s");
  EXPECT_THAT(both.diagnostics().errors(),
              ElementsAre("a.ini:2: [s] channels: is the old name of width, which is set too; remove one"));
  Config given = Config::parse("[s]\nwidth = 6\n", "a.ini", {"--s.channels=7"});
  EXPECT_EQ(given.read<Renamed>("s").width, 7);
  Config newer = Config::parse("[s]\nchannels = 6\n", "a.ini", {"--s.width=8"});
  EXPECT_EQ(newer.read<Renamed>("s").width, 8);
  EXPECT_THAT(newer.diagnostics().errors(), IsEmpty());
}

TEST(Keys, ReadEverySpellingOfYesAndNo) {
  for (const char* yes : {"yes", "true", "on", "1"}) EXPECT_TRUE(read("flag", yes).flag) << yes;
  for (const char* no : {"no", "false", "off", "0"}) EXPECT_FALSE(read("flag", no).flag) << no;
}

TEST(Keys, ReadNumbersToTheirBounds) {
  EXPECT_EQ(read("any", "-9223372036854775808").any, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(read("any", "9223372036854775807").any, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(read("both", "1").both, 1);
  EXPECT_EQ(read("both", "8").both, 8);
  EXPECT_EQ(read("share", "0").share, 0);
  EXPECT_EQ(read("share", "1.0").share, 1);
  EXPECT_EQ(read("above", "2.2250738585072014e-308").above, 2.2250738585072014e-308);  // the smallest normal number
  EXPECT_EQ(read("number", "-1.5E+3").number, -1500);
  EXPECT_EQ(read("number", "1e308").number, 1e308);
}

TEST(Keys, ReadLists) {
  EXPECT_THAT(read("integers", "3,4 , 5").integers, ElementsAre(3, 4, 5));
  EXPECT_THAT(read("integers", "").integers, IsEmpty());
  EXPECT_THAT(read("numbers", "0.5").numbers, ElementsAre(0.5));
  EXPECT_THAT(read("texts", "x y, z").texts, ElementsAre("x y", "z"));
}

TEST(Keys, ReadTextAndChoices) {
  EXPECT_EQ(read("text", "").text, "");
  EXPECT_EQ(read("text", "\" a # b\"").text, " a # b");
  EXPECT_EQ(read("pool", "max").pool, Pool::kMax);
}

struct Bad {
  const char* key;
  const char* value;
  const char* words;  ///< after "a.ini:2: [s] key: "
};

class BadValue : public testing::TestWithParam<Bad> {};

TEST_P(BadValue, IsRefusedWithTheseWordsAndLeavesTheDefault) {
  std::vector<std::string> errors;
  const Everything result = read(GetParam().key, GetParam().value, &errors);
  EXPECT_THAT(errors, ElementsAre(std::string("a.ini:2: [s] ") + GetParam().key + ": " + GetParam().words));
  const Everything defaults;
  EXPECT_EQ(result.flag, defaults.flag);
  EXPECT_EQ(result.low, defaults.low);
  EXPECT_EQ(result.share, defaults.share);
  EXPECT_EQ(result.integers, defaults.integers);
  EXPECT_EQ(result.texts, defaults.texts);
  EXPECT_EQ(result.pool, defaults.pool);
}

const Bad kBad[] = {
    {"flag", "maybe", "expected yes or no, got 'maybe'"},
    {"flag", "Yes", "expected yes or no, got 'Yes'"},
    {"flag", "", "expected yes or no, got ''"},
    {"any", "abc", "expected an integer, got 'abc'"},
    {"any", "9223372036854775808", "expected an integer, got '9223372036854775808'"},
    {"any", "1.0", "expected an integer, got '1.0'"},
    {"any", "1e3", "expected an integer, got '1e3'"},
    {"any", "+1", "expected an integer, got '+1'"},
    {"any", "12abc", "expected an integer, got '12abc'"},
    {"any", "0x10", "expected an integer, got '0x10'"},
    {"any", "1 2", "expected an integer, got '1 2'"},
    {"low", "0", "expected an integer of at least 1, got '0'"},
    {"low", "abc", "expected an integer of at least 1, got 'abc'"},
    {"low", "", "expected an integer of at least 1, got ''"},
    {"both", "9", "expected an integer from 1 to 8, got '9'"},
    {"high", "6", "expected an integer of at most 5, got '6'"},
    {"number", "nan", "expected a number, got 'nan'"},
    {"number", "inf", "expected a number, got 'inf'"},
    {"number", "-infinity", "expected a number, got '-infinity'"},
    {"number", "1e999", "expected a number, got '1e999'"},
    {"number", "0.1x", "expected a number, got '0.1x'"},
    {"number", "0,1", "expected a number, got '0,1'"},
    {"above", "0", "expected a number above 0, got '0'"},
    {"above", "-1e-9", "expected a number above 0, got '-1e-9'"},
    {"share", "1.01", "expected a number from 0 to 1, got '1.01'"},
    {"least", "1.4", "expected a number of at least 1.5, got '1.4'"},
    {"integers", "0", "expected integers of at least 1 separated by commas, got '0'"},
    {"integers", "1, two, 3", "expected integers of at least 1 separated by commas, got 'two' in '1, two, 3'"},
    {"integers", "1,,3", "expected integers of at least 1 separated by commas, got '' in '1,,3'"},
    {"integers", "1,", "expected integers of at least 1 separated by commas, got '' in '1,'"},
    {"integers", "1 2", "expected integers of at least 1 separated by commas, got '1 2'"},
    {"numbers", "0.5, 2", "expected numbers from 0 to 1 separated by commas, got '2' in '0.5, 2'"},
    {"texts", "a,,b", "expected texts separated by commas, got an empty item in 'a,,b'"},
    {"pool", "avg", "expected one of max, average, got 'avg'"},
    {"pool", "averag", "expected one of max, average, got 'averag'; did you mean 'average'?"},
    {"pool", "MAX", "expected one of max, average, got 'MAX'; did you mean 'max'?"},
};

INSTANTIATE_TEST_SUITE_P(Keys, BadValue, testing::ValuesIn(kBad));

TEST(Keys, RequiredKeysAreMissedAtTheirSectionOrTheMainFile) {
  Config config = Config::parse("[one]\nname =\n", "a.ini");
  const auto read_all = [&](const char* section) {
    Keys keys(config.section(section), config.diagnostics());
    std::int64_t count = 0;
    double rate = 0;
    std::string name;
    keys.required("count", count, between(1, 5), "");
    keys.required("rate", rate, any_number(), "");
    keys.required("name", name, "");
  };
  read_all("one");
  read_all("two");
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("a.ini: [two] count: required key is missing; expected an integer from 1 to 5",
                          "a.ini: [two] rate: required key is missing; expected a number",
                          "a.ini: [two] name: required key is missing; expected text",
                          "a.ini:1: [one] count: required key is missing; expected an integer from 1 to 5",
                          "a.ini:1: [one] rate: required key is missing; expected a number",
                          "a.ini:2: [one] name: expected text, got ''"));
}

TEST(Keys, ReportLaterErrorsAtTheirPlace) {
  Config config = Config::parse("[s]\nkernel = 3\n", "a.ini");
  Keys keys(config.section("s"), config.diagnostics());
  std::int64_t kernel = 0, pad = 0;
  keys.required("kernel", kernel, at_least(1), "");
  keys.optional("pad", pad, at_least(0), "");
  keys.error("kernel", "is larger than the image");
  keys.error("pad", "does not fit");
  EXPECT_EQ(keys.where("kernel"), "a.ini:2: [s] kernel");
  EXPECT_EQ(keys.where("pad"), "a.ini:1: [s] pad");
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("a.ini:1: [s] pad: does not fit", "a.ini:2: [s] kernel: is larger than the image"));
}

TEST(Keys, DocumentWithoutASection) {
  Keys keys;
  Everything values;
  values.describe(keys);
  keys.error("text", "is nobody's");
  EXPECT_TRUE(keys.documenting());
  EXPECT_EQ(values.low, 7);
  std::vector<std::string> lines;
  for (const KeyDoc& doc : keys.docs()) {
    lines.push_back(doc.name + "|" + doc.type + "|" + doc.allowed + "|" + doc.default_value);
  }
  EXPECT_THAT(lines,
              ElementsAre("flag|yes or no||yes", "any|integer||7", "low|integer|at least 1|7", "both|integer|1 to 8|7",
                          "high|integer|at most 5|1", "number|number||0.5", "above|number|above 0|0.5",
                          "share|number|0 to 1|0.5", "least|number|at least 1.5|2", "text|text||as is",
                          "integers|list of integers|at least 1|1, 2", "numbers|list of numbers|0 to 1|0.25",
                          "texts|list of texts||a, b c", "pool|one of max, average||average"));
}

TEST(Keys, DocumentationIsAlignedAndWrapped) {
  std::ostringstream out;
  print_docs(out, "train",
             {{"epochs", "integer", "1", "at least 1", "passes over the training set", false},
              {"dir", "text", "", "",
               "folder of the data set, which holds the official binary files as they are shipped, "
               "unpacked or not",
               true},
              {"x", "number", "", "", "", false}});
  EXPECT_EQ(out.str(),
            "[train]\n"
            "  epochs  passes over the training set (integer, at least 1; default 1)\n"
            "  dir     folder of the data set, which holds the official binary files as they are shipped,\n"
            "          unpacked or not (text; required)\n"
            "  x       (number)\n");
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u);
}

TEST(Keys, DefaultsThatCannotBeWrittenAreLeftOut) {
  Config config = Config::parse("[s]\n", "a.ini");
  Keys keys(config.section("s"), config.diagnostics());
  double limit = std::numeric_limits<double>::infinity(), rate = 0.1, third = 1.0 / 3;
  std::int64_t count = -1;
  keys.optional("limit", limit, above_zero(), "");
  keys.optional("rate", rate, above_zero(), "");
  keys.optional("third", third, above_zero(), "");
  keys.optional("count", count, at_least(0), "");
  EXPECT_EQ(config.resolved(), "[s]\nrate = 0.1                  # default\nthird = 0.3333333333333333  # default\n");
  EXPECT_EQ(keys.docs()[0].default_value, "");
  EXPECT_EQ(keys.docs()[3].default_value, "");
}

}  // namespace
}  // namespace sluice
