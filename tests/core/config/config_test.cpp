// Loading, overriding, reading and checking configurations: what is accepted, and the exact text of every message.
#include "core/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <sstream>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;

struct Train {
  std::int64_t epochs = 1;
  std::int64_t batch = 128;
  double lr = 0.1;
  bool nesterov = false;
  std::vector<std::int64_t> milestones;
  std::string note = "none";
  std::int64_t kind = 0;

  void describe(Keys& keys) {
    keys.optional("epochs", epochs, at_least(1), "passes over the training set");
    keys.optional("batch", batch, between(1, 4096), "images in one step");
    keys.optional("lr", lr, above_zero(), "learning rate");
    keys.optional("nesterov", nesterov, "Nesterov momentum");
    keys.optional("milestones", milestones, at_least(1), "epochs at which the rate drops");
    keys.optional("note", note, "free text");
    keys.choice<std::int64_t>("schedule", kind, {{"constant", 0}, {"cosine", 1}, {"step", 2}},
                              "learning rate schedule");
  }
};

struct Data {
  std::string dir;
  std::int64_t classes = 0;
  double mean = 0;

  void describe(Keys& keys) {
    keys.required("dir", dir, "folder of the data set");
    keys.required("classes", classes, between(2, 1000), "number of classes");
    keys.required("mean", mean, any_number(), "mean pixel");
  }
};

/// The lines of the error that loading, reading [train] and checking ends with; "" when all is well.
std::string errors_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    Config config = Config::parse(text, "a.ini", overrides);
    config.read<Train>("train");
    config.check();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Config, ReadsEveryKindOfValue) {
  Config config = Config::parse(
      "\xEF\xBB\xBF# a comment\r\n"
      "\r\n"
      "  [ train ]   ; another\r\n"
      "\tepochs = 3\r\n"
      "batch=64 # trailing\r\n"
      "lr = 2.5e-3\r\n"
      "nesterov = on\r\n"
      "milestones = 10, 20 ,30\r\n"
      "note = a#b;c  ; comment\r\n"
      "schedule = step",
      "a.ini");
  const Train train = config.read<Train>("train");
  config.check();
  EXPECT_EQ(train.epochs, 3);
  EXPECT_EQ(train.batch, 64);
  EXPECT_EQ(train.lr, 2.5e-3);
  EXPECT_TRUE(train.nesterov);
  EXPECT_THAT(train.milestones, ElementsAre(10, 20, 30));
  EXPECT_EQ(train.note, "a#b;c");
  EXPECT_EQ(train.kind, 2);
}

TEST(ConfigErrors, AreReportedAllAtOnceInTheOrderOfLinesAndTheCommandLineLast) {
  EXPECT_EQ(errors_of("[train]\nepochs = 0\nbacth = 3\nfoo\n[trian]\nlr = 2\nlr = 1\n", {"--train.lr=nan"}),
            "a.ini:2: [train] epochs: expected an integer of at least 1, got '0'\n"
            "a.ini:3: [train] bacth: unknown key; did you mean 'batch'?\n"
            "a.ini:4: [train]: expected 'key = value' or '[section]', got 'foo'\n"
            "a.ini:5: [trian]: unknown section; did you mean 'train'?\n"
            "a.ini:7: [trian] lr: the key stands already in line 6\n"
            "command line: [train] lr: expected a number above 0, got 'nan'");
}

TEST(Config, KeysOfAnotherChoiceAreWarningsAndNotUnknown) {
  Config config = Config::parse("[a]\nmomentum = 0.5\n", "a.ini");
  Keys keys(config.section("a"), config.diagnostics());
  keys.idle({"betas", "momentum"}, "type = adamw");
  EXPECT_NO_THROW(config.check());
  EXPECT_EQ(config.diagnostics().warnings(),
            std::vector<std::string>{"a.ini:2: [a] momentum: has no effect with type = adamw"});
}

TEST(Config, KeepsDefaultsWhereNothingIsWritten) {
  Config config = Config::parse("", "a.ini");
  const Train train = config.read<Train>("train");
  config.check();
  EXPECT_EQ(train.epochs, 1);
  EXPECT_EQ(train.batch, 128);
  EXPECT_EQ(train.note, "none");
  EXPECT_THAT(train.milestones, ElementsAre());
}

}  // namespace
}  // namespace sluice
