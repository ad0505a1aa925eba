// What the programs accept on their command lines, and what they say about the rest.
#include "core/config/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<Flag> kFlags = {{"help", "", "prints this text"},
                                  {"resume", "", "continues the run in its directory"},
                                  {"output", "FILE", "where the result goes", 'o'},
                                  {"filter", "PATTERN", "names to show", '\0', true},
                                  {"sweep-index", "N", "the line of [sweep] to run"}};

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sluice-train");
  const auto keys = [] { return std::vector<std::string>{"train.epochs", "train.batch", "eval.batch"}; };
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), kFlags, keys);
}

std::string error_of(const std::vector<const char*>& arguments) {
  try {
    parse(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(CommandLine, SortsFlagsFilesAndOverrides) {
  const CommandLine line = parse({"net.ini", "--train.batch=64", "--resume", "-o", "out.h5", "exp.ini",
                                  "--layer.layer1.0.conv1.kernel=3", "--filter=a", "--filter", "b", "--run.dir="});
  EXPECT_THAT(line.positional(), ElementsAre("net.ini", "exp.ini"));
  EXPECT_THAT(line.overrides(), ElementsAre("--train.batch=64", "--layer.layer1.0.conv1.kernel=3", "--run.dir="));
  EXPECT_TRUE(line.has("resume"));
  EXPECT_FALSE(line.has("help"));
  EXPECT_EQ(line.value("output"), "out.h5");
  EXPECT_EQ(line.value("sweep-index"), std::nullopt);
  EXPECT_THAT(line.values("filter"), ElementsAre("a", "b"));
  EXPECT_THAT(line.values("sweep-index"), IsEmpty());
}

TEST(CommandLine, EverythingAfterTwoDashesIsPositional) {
  const CommandLine line = parse({"--resume", "--", "--train.batch=64", "--help", "a.b=c"});
  EXPECT_THAT(line.positional(), ElementsAre("--train.batch=64", "--help", "a.b=c"));
  EXPECT_THAT(line.overrides(), IsEmpty());
}

TEST(CommandLine, TakesAnEmptyLineAndNoProgramName) {
  EXPECT_THAT(parse({}).positional(), IsEmpty());
  EXPECT_THAT(parse_command_line(0, nullptr, kFlags).positional(), IsEmpty());
}

TEST(CommandLine, ValuesMayHoldSpacesEqualsSignsAndDots) {
  const CommandLine line = parse({"--run.note=a = b", "--output=x=y.h5"});
  EXPECT_THAT(line.overrides(), ElementsAre("--run.note=a = b"));
  EXPECT_EQ(line.value("output"), "x=y.h5");
}

TEST(CommandLine, RefusesTheRestWithTheseWords) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"--resum"}, "command line: unknown option '--resum'; did you mean '--resume'?"},
      {{"--sweep-indx=3"}, "command line: unknown option '--sweep-indx'; did you mean '--sweep-index'?"},
      {{"--RESUME"}, "command line: unknown option '--RESUME'; did you mean '--resume'?"},
      {{"--res"},
       "command line: unknown option '--res'; known options: --help, --resume, --output, --filter, --sweep-index; keys "
       "are set by --section.key=value"},
      {{"-x"},
       "command line: unknown option '-x'; known options: --help, --resume, --output, --filter, --sweep-index; keys "
       "are set by --section.key=value"},
      {{"--resume=yes"}, "command line: '--resume' takes no value"},
      {{"--output"}, "command line: '--output' needs a value: --output=FILE"},
      {{"-o"}, "command line: '--output' needs a value: --output=FILE"},
      {{"--output="}, "command line: '--output' needs a value: --output=FILE"},
      {{"--output", "--resume"}, "command line: '--output' needs a value: --output=FILE"},
      {{"--resume", "--resume"}, "command line: '--resume' is given twice"},
      {{"-o", "a", "--output=b"}, "command line: '--output' is given twice"},
      {{"--train.batch", "64"}, "command line: the value of an override stands after '=': --train.batch=64"},
      {{"--train.batch"}, "command line: the value of an override stands after '=': --train.batch=VALUE"},
      {{"--train.batch", "--resume"}, "command line: the value of an override stands after '=': --train.batch=VALUE"},
      {{"train.batch=64"}, "command line: an override starts with two dashes: --train.batch=64, got 'train.batch=64'"},
      {{"-train.batch=64"},
       "command line: an override starts with two dashes: --train.batch=64, got '-train.batch=64'"},
  };
  for (const auto& [arguments, text] : cases) EXPECT_EQ(error_of(arguments), text);
}

TEST(CommandLine, AProgramWithoutKeysDoesNotSpeakOfThem) {
  const char* const arguments[] = {"sluice-pack", "--quality=3"};
  try {
    parse_command_line(2, arguments, {{"output", "FILE", "", 'o'}, {"help", "", ""}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "command line: unknown option '--quality'; known options: --output, --help");
  }
}

TEST(CommandLine, PrintsItsFlags) {
  std::ostringstream out;
  print_flags(out, kFlags);
  EXPECT_EQ(out.str(),
            "  --help             prints this text\n"
            "  --resume           continues the run in its directory\n"
            "  -o, --output=FILE  where the result goes\n"
            "  --filter=PATTERN   names to show\n"
            "  --sweep-index=N    the line of [sweep] to run\n");
}

TEST(CommandLine, KeysWithoutTheirSectionsAreGuessed) {
  EXPECT_EQ(error_of({"--epochs", "5"}), "command line: unknown option '--epochs'; did you mean --train.epochs=5?");
  EXPECT_EQ(error_of({"--epochs=5"}), "command line: unknown option '--epochs'; did you mean --train.epochs=5?");
  EXPECT_EQ(error_of({"a.ini", "--epochs"}),
            "command line: unknown option '--epochs'; did you mean --train.epochs=VALUE?");
  EXPECT_EQ(error_of({"--batch=8"}),
            "command line: unknown option '--batch'; did you mean --train.batch=8 or --eval.batch=8?");
}

TEST(CommandLine, TheValueOfAFlagIsNoOverride) {
  EXPECT_EQ(parse({"-o", "optimizer.lr=0.1.h5"}).value("output"), "optimizer.lr=0.1.h5");
  EXPECT_EQ(parse({"--output", "a.b=c"}).value("output"), "a.b=c");
  EXPECT_EQ(parse({"--output=a.b=c"}).value("output"), "a.b=c");
}

TEST(CommandLine, DashesOfWordProcessorsAreNamed) {
  EXPECT_EQ(
      error_of({"\xE2\x80\x94resume"}),
      "command line: '\xE2\x80\x94resume' has an em dash (U+2014) at character 1; use '-', or '--' before a name");
  EXPECT_EQ(error_of({"\xE2\x80\x93o", "x"}),
            "command line: '\xE2\x80\x93o' has an en dash (U+2013) at character 1; use '-'");
  EXPECT_EQ(
      error_of({"--train.batch\xEF\xBC\x9D\x35"}),
      "command line: unknown option '--train.batch\xEF\xBC\x9D\x35' has a full-width character (U+FF1D) at character "
      "14; use '='");
}

TEST(CommandLine, PathsOfFlagsAreExpanded) {
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(parse({"--output=~/x.h5"}).path("output"), "/home/me/x.h5");
  EXPECT_EQ(parse({}).path("output"), std::nullopt);
  EXPECT_THROW(parse({"--output=~you/x.h5"}).path("output"), Error);
}

}  // namespace
}  // namespace sluice
