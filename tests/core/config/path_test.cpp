// Paths as shells read them: what is put in, what is refused, and that checkpoints get nothing.
#include "core/config/path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;

class Paths : public testing::Test {
 protected:
  void SetUp() override {
    setenv("HOME", "/home/me", 1);
    setenv("SLUICE_TEST_SCRATCH", "/scratch", 1);
    setenv("SLUICE_TEST_TILDE", "~x", 1);
    unsetenv("SLUICE_TEST_UNSET");
  }
};

std::string problem_of(const std::string& path) {
  try {
    return "taken as " + expand_path(path);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST_F(Paths, TheBeginningIsPutIn) {
  EXPECT_EQ(expand_path("~"), "/home/me");
  EXPECT_EQ(expand_path("~/x"), "/home/me/x");
  EXPECT_EQ(expand_path("$SLUICE_TEST_SCRATCH/runs/~x"), "/scratch/runs/~x");
  EXPECT_EQ(expand_path("$SLUICE_TEST_TILDE/a"), "./~x/a") << "not the home of x the next time";
  for (const char* plain : {"", "a/b", "./~", "a~b", "cost$5", "a$"}) EXPECT_EQ(expand_path(plain), plain);
}

TEST_F(Paths, WhatWouldBecomeAFolderOfThatNameIsRefused) {
  EXPECT_EQ(
      problem_of("~you/x"),
      "the home folder of another user is not looked up: '~you/x'; write the whole path, or ./~you for a folder of "
      "that name");
  EXPECT_EQ(problem_of("$SLUICE_TEST_UNSET/x"),
            "the environment variable 'SLUICE_TEST_UNSET' is not set; set it, or write the whole path in place of "
            "'$SLUICE_TEST_UNSET/x'");
  EXPECT_EQ(problem_of("runs/$SLUICE_TEST_SCRATCH"),
            "'$SLUICE_TEST_SCRATCH' stands for a variable only at the beginning of a path; write "
            "${env:SLUICE_TEST_SCRATCH}");
}

struct Places {
  std::string dir;
  std::vector<std::string> teachers;
  void describe(Keys& keys) {
    keys.path("dir", dir, "");
    keys.paths("teachers", teachers, "");
  }
};

TEST_F(Paths, KeysExpandThemOnceAndTheResolvedConfigurationKeepsTheResult) {
  Config config = Config::parse("[s]\ndir = ~/a\nteachers = ~/b, \"$SLUICE_TEST_SCRATCH/c, d\"\n", "a.ini");
  Places places = config.read<Places>("s");
  config.check();
  EXPECT_EQ(places.dir, "/home/me/a");
  EXPECT_THAT(places.teachers, ElementsAre("/home/me/b", "/scratch/c, d"));
  EXPECT_EQ(config.resolved(),
            "[s]\ndir = /home/me/a                        # a.ini:2\n"
            "teachers = /home/me/b, \"/scratch/c, d\"  # a.ini:3\n");
}

TEST_F(Paths, KeysNameThePlaceOfAWrongOne) {
  Config config = Config::parse("[s]\ndir = a/$HOME\n", "a.ini");
  config.read<Places>("s");
  EXPECT_THAT(config.diagnostics().errors(),
              ElementsAre("a.ini:2: [s] dir: '$HOME' stands for a variable only at the beginning of a path; write "
                          "${env:HOME}"));
}

TEST_F(Paths, WhatACheckpointStoredStandsForItself) {
  Config config = Config::stored("[s]\ndir = ~/a\nteachers = $HOME/b\n", "a.h5");
  Places places = config.read<Places>("s");
  EXPECT_EQ(places.dir, "~/a");
  EXPECT_THAT(places.teachers, ElementsAre("$HOME/b"));
  Config overridden = Config::stored("[s]\ndir = ~/a\n", "a.h5", {"--s.dir=~/b"});
  EXPECT_EQ(overridden.read<Places>("s").dir, "/home/me/b");
}

}  // namespace
}  // namespace sluice
