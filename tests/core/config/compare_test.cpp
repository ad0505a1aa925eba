// What differs between two configurations, and what that means for a run.
#include "core/config/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// [run] with a key of each role.
struct Options {
  std::int64_t seed = 1, batch = 8, threads = 0;
  std::string dir;
  double rate = 0.1;
  bool flip = true;
  std::vector<double> drops;
  void describe(Keys& keys) {
    keys.optional("seed", seed, at_least(0), "");
    keys.optional("batch", batch, at_least(1), "");
    keys.optional("threads", threads, at_least(0), "");
    keys.optional("dir", dir, "");
    keys.optional("rate", rate, any_number(), "");
    keys.optional("flip", flip, "");
    keys.optional("drops", drops, any_number(), "");
    keys.idle({"momentum"}, "type = adamw");
    keys.role(KeyRole::kContinues, {"batch"}, "from here on");
    keys.role(KeyRole::kRounding, {"threads"}, "last bits");
    keys.role(KeyRole::kNothing, {"dir"}, "no effect");
  }
};

Config parsed(const std::string& text, bool read = false) {
  Config config = Config::parse(text, "a.ini");
  if (read) config.read<Options>("run");
  return config;
}

std::vector<std::string> changes(const std::string& before, const std::string& now) {
  std::vector<std::string> lines;
  for (const Change& change : compare(parsed(before), parsed(now, true))) lines.push_back(to_string(change));
  return lines;
}

TEST(Compare, ListsWhatChangedWithDefaults) {
  Config before = Config::parse("[run]\nseed = 1\n[old]\nx = 1\n[layer.a]\ntype = conv\nchannels = 4\n", "a.ini");
  Config now = Config::parse("[run]\nseed = 2\ndir = x\n[layer.a]\ntype = conv\n[layer.b]\ntype = relu\n", "b.ini");
  Keys keys(now.section("layer.a"), now.diagnostics());
  std::int64_t channels = 8;
  keys.optional("channels", channels, at_least(1), "");
  std::vector<std::string> lines;
  for (const Change& change : compare(before, now)) lines.push_back(to_string(change));
  EXPECT_THAT(lines, ElementsAre("[run] seed: 1 -> 2", "[run] dir: (absent) -> x", "[layer.a] channels: 4 -> 8",
                                 "[layer.b]: absent -> present", "[old]: present -> absent"));
}

TEST(Compare, AKeySaysWhatItsChangeMeansAndDecidesWhereItDoesNot) {
  const std::string text = "[run]\nseed = 1\nbatch = 8\nthreads = 1\ndir = a\nmomentum = 0.9\n";
  const std::string other = "[run]\nseed = 2\nbatch = 9\nthreads = 2\ndir = b\nmomentum = 0.8\n";
  std::vector<std::string> found;
  for (const Change& change : compare(parsed(text), parsed(other, true)))
    found.push_back(change.key + " " + std::to_string(static_cast<int>(change.role.role)) + " " + change.role.effect);
  EXPECT_THAT(found, ElementsAre("seed 0 ", "batch 1 from here on", "threads 2 last bits", "dir 3 no effect",
                                 "momentum 3 has no effect with type = adamw"));
}

TEST(Compare, TheSameValueWrittenDifferentlyIsNoChange) {
  EXPECT_THAT(
      changes("[run]\nrate = 0.10\nflip = on\ndrops = 1,2e0\n", "[run]\nrate = 1e-1\nflip = yes\ndrops = 1.0, 2\n"),
      IsEmpty());
  EXPECT_THAT(changes("[run]\nrate = 0.1\nflip = on\ndrops = 1, 2\n", "[run]\nrate = 0.11\nflip = no\ndrops = 1\n"),
              ElementsAre("[run] rate: 0.1 -> 0.11", "[run] flip: on -> no", "[run] drops: 1, 2 -> 1"));
}

TEST(Compare, AKeyThatAnOlderVersionLackedIsItsDefault) {
  EXPECT_THAT(changes("[run]\nseed = 1\n", "[run]\nseed = 1\nrate = 0.10\n"), IsEmpty());
  EXPECT_THAT(changes("[run]\nseed = 1\n", "[run]\nseed = 1\nrate = 0.2\n"),
              ElementsAre("[run] rate: (absent) -> 0.2"));
  EXPECT_THAT(changes("[run]\nseed = 1\nwindow = 3\n", "[run]\nseed = 1\n"), IsEmpty()) << "a key that went away";
}

TEST(Compare, AKeyThatWasRenamedDidNotChange) {
  const auto changes_to = [](const std::string& text) {
    Config now = Config::parse(text, "b.ini");
    Keys keys(now.section("s"), now.diagnostics());
    std::int64_t width = 8;
    keys.renamed("channels", "width");
    keys.optional("width", width, at_least(1), "");
    std::vector<std::string> lines;
    for (const Change& change : compare(parsed("[s]\nchannels = 4\n"), now)) lines.push_back(to_string(change));
    return lines;
  };
  EXPECT_THAT(changes_to("[s]\nwidth = 4\n"), IsEmpty());
  EXPECT_THAT(changes_to("[s]\nchannels = 4\n"), IsEmpty());
  EXPECT_THAT(changes_to("[s]\nwidth = 5\n"), ElementsAre("[s] width: 4 -> 5"));
  EXPECT_THAT(changes_to("[s]\n"), ElementsAre("[s] width: 4 -> 8"));
}

TEST(Compare, TheOrderOfLayersCounts) {
  const std::string a = "[layer.a]\ntype = relu\n", b = "[layer.b]\ntype = relu\n";
  std::vector<std::string> lines;
  for (const Change& change : compare(parsed(a + b), parsed(b + a))) lines.push_back(to_string(change));
  EXPECT_THAT(lines, ElementsAre("[network] order of layers: a, b -> b, a"));
}

}  // namespace
}  // namespace sluice
