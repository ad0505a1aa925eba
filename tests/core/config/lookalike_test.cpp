// Characters that only look right are named with their place and what to write.
#include "core/config/lookalike.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Options {
  std::int64_t epochs = 1;
  double lr = 1;
  std::string note;
  void describe(Keys& keys) {
    keys.optional("epochs", epochs, at_least(1), "");
    keys.optional("lr", lr, any_number(), "");
    keys.optional("note", note, "");
  }
};

std::vector<std::string> errors_of(const std::string& text) {
  Config config = Config::parse(text, "a.ini");
  config.read<Options>("s");
  return config.diagnostics().errors();
}

TEST(Lookalikes, AreNamedInLinesThatCannotBeRead) {
  EXPECT_THAT(
      errors_of("[s]\nepochs\xC2\xA0= 5\n"),
      ElementsAre("a.ini:2: [s]: expected a key of letters, digits, '_' and '-' before '=', got 'epochs\xC2\xA0' "
                  "(a no-break space (U+00A0) at column 7; use a plain space)"));
  EXPECT_THAT(errors_of("[s]\nepochs \xEF\xBC\x9D 5\n"),
              ElementsAre("a.ini:2: [s]: expected 'key = value' or '[section]', got 'epochs \xEF\xBC\x9D 5' "
                          "(a full-width character (U+FF1D) at column 8; use '=')"));
  EXPECT_THAT(errors_of("[s\xE2\x80\x93t]\n"),
              ElementsAre("a.ini:1: expected a section name of letters, digits, '_', '-' and single dots, got "
                          "'s\xE2\x80\x93t' (an en dash (U+2013) at column 3; use '-')"));
  EXPECT_THAT(
      errors_of("\xEF\xBB\xBF\xEF\xBB\xBF[s]\n"),
      ElementsAre("a.ini:1: expected 'key = value' or '[section]', got '\\ufeff[s]' (a byte order mark (U+FEFF) at "
                  "column 1; remove it)"));
}

TEST(Lookalikes, AroundAValueAreRefusedAsNobodyMeansThem) {
  EXPECT_THAT(
      errors_of("[s]\nnote = runs/x\xC2\xA0 # c\n"),
      ElementsAre("a.ini:2: [s] note: the value 'runs/x\xC2\xA0' has a no-break space (U+00A0) at column 14; use a "
                  "plain space, or put the value in double quotes"));
  EXPECT_THAT(
      errors_of("[s]\nepochs = 5\xC2\xA0# c\n"),
      ElementsAre("a.ini:2: [s] epochs: the value '5\xC2\xA0# c' has a no-break space (U+00A0) at column 11; use a "
                  "plain space, or put the value in double quotes"));
  EXPECT_THAT(
      errors_of("[s]\nnote = \xE2\x80\x9C\x61\xE2\x80\x9D\n"),
      ElementsAre("a.ini:2: [s] note: the value '\xE2\x80\x9C\x61\xE2\x80\x9D' has a typographic quote (U+201C) at "
                  "column 8; use '\"' or none, or put the value in double quotes"));
}

TEST(Lookalikes, AreNamedInNumbers) {
  EXPECT_THAT(
      errors_of("[s]\nlr = 1e\xE2\x88\x92\x34\n"),
      ElementsAre("a.ini:2: [s] lr: expected a number, got '1e\xE2\x88\x92\x34' (a minus sign (U+2212) at character "
                  "3; use '-')"));
  EXPECT_THAT(errors_of("[s]\nepochs = \xEF\xBC\x95\n"),
              ElementsAre("a.ini:2: [s] epochs: expected an integer of at least 1, got '\xEF\xBC\x95' (a full-width "
                          "character (U+FF15) at character 1; use '5')"));
}

TEST(Lookalikes, AreTextInsideTextsAndQuotesAndComments) {
  EXPECT_THAT(
      errors_of(
          "[s] # \xE2\x80\x93\nnote = sand \xE2\x80\x93 stone\xE2\x80\x99s\xC2\xA0\x65nd\nepochs = 5 # \xE2\x80\x9C\n"),
      IsEmpty());
  EXPECT_THAT(errors_of("[s]\nnote = \"\xC2\xA0x\xE2\x80\x9D\"\n"), IsEmpty());
}

}  // namespace
}  // namespace sluice
