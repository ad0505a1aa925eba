// Durations in every spelling, good and bad; what fits into a budget on a clock of the test's own.
#include "core/train/time_budget.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

TEST(Duration, GoodSpellings) {
  const std::pair<const char*, double> good[] = {{"01:30:00", 5400},     {"90:00", 5400},     {"0:05", 5},
                                                 {"100:00:00", 360000},  {"5400", 5400},      {"0.5", 0.5},
                                                 {"90m", 5400},          {"2h", 7200},        {"1h30m", 5400},
                                                 {"1d 12h", 129600},     {"1.5h", 5400},      {"45s", 45},
                                                 {"1-12:00:00", 129600}, {"1-12:30", 131400}, {"1-12", 129600},
                                                 {"0-1", 3600},          {"0-00:00:01", 1},   {"1d1h1m1s", 90061}};
  for (const auto& [text, seconds] : good) {
    ASSERT_TRUE(parse_duration(text)) << text;
    EXPECT_DOUBLE_EQ(*parse_duration(text), seconds) << text;
  }
}

TEST(Duration, BadSpellings) {
  for (const char* text : {"",    " ",    "0",          "0:00",     "-5",   "1:60",  "1:60:00",  "1:2:3:4", ":30",
                           "30:", "1:-5", "1.5:00",     "2x",       "h",    "30m1h", "1h1h",     "1h30",    "nan",
                           "inf", "1e3",  "1-25:00:00", "1-30:00",  "1-",   "1-24",  "1-12:60",  "1-12:",   "-1:00:00",
                           "2 h", "2h,",  "1:00 ",      "1d 12h x", "0x10", "1.2.3", "--1:00:00"})
    EXPECT_FALSE(parse_duration(text)) << "'" << text << "'";
}

TEST(Duration, FormatsAndReadsBack) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(90061), "1-01:01:01");
  EXPECT_EQ(format_duration(-3), "0:00");
  for (double seconds : {1.0, 59.0, 60.0, 3599.0, 3600.0, 86399.0, 86400.0, 1e6})
    EXPECT_EQ(parse_duration(format_duration(seconds)), seconds);
}

TEST(Duration, AsAKey) {
  const auto read = [](const std::string& value, double& seconds) -> std::string {
    Config config = Config::parse("[train]\nmax_time = " + value + "\n", "a.ini");
    std::string text;
    Keys keys(config.section("train"), config.diagnostics());
    duration_key(keys, "max_time", text, seconds, "doc");
    return config.diagnostics().has_errors() ? config.diagnostics().errors()[0] : "no error";
  };
  double seconds = -1;
  EXPECT_EQ(read("1:30:00", seconds), "no error");
  EXPECT_EQ(seconds, 5400);
  EXPECT_EQ(read("", seconds), "no error");
  EXPECT_EQ(seconds, 0);
  EXPECT_EQ(
      read("1 hour", seconds),
      "a.ini:2: [train] max_time: expected a time above 0 such as 01:30:00, 90m, 2h or seconds (empty: no limit), "
      "got '1 hour'");
  EXPECT_EQ(seconds, 0);
  EXPECT_NE(read("0", seconds), "no error");
}

/// A budget of 100 s on a clock that the test sets.
struct TimeBudgetTest : testing::Test {
  double now = 1000;
  TimeBudget budget{100, [this] { return now; }};
};

TEST_F(TimeBudgetTest, AStepFitsWithItsCheckpointAndSomeHeadroom) {
  EXPECT_TRUE(budget.step_fits());
  budget.record_step(10);
  budget.record_checkpoint(10);
  now = 1000 + 77.9;
  EXPECT_TRUE(budget.step_fits());
  now = 1000 + 78.1;  // 1.1 * (10 + 10) no longer fit
  EXPECT_FALSE(budget.step_fits());
  EXPECT_EQ(budget.reason(), "what comes next does not fit into the time budget of 1.7 min (1.3 min elapsed)");
}

TEST_F(TimeBudgetTest, EstimatesRiseAtOnceAndFallSlowly) {
  budget.record_checkpoint(0.001);
  budget.record_step(1);
  budget.record_step(50);
  now = 1000 + 50;
  EXPECT_FALSE(budget.step_fits());
  budget.record_step(1);
  EXPECT_FALSE(budget.step_fits());
  for (int i = 0; i < 100; ++i) budget.record_step(1);
  EXPECT_TRUE(budget.step_fits());
  now = 1000 + 98;
  EXPECT_TRUE(budget.step_fits());
}

TEST_F(TimeBudgetTest, AnEvaluationIsBoundedByTrainingStepsUntilItIsMeasured) {
  budget.record_checkpoint(0.001);
  budget.record_step(2);
  now = 1000 + 50;
  EXPECT_TRUE(budget.evaluation_fits(22));
  EXPECT_FALSE(budget.evaluation_fits(23));
  budget.record_evaluation(5);
  EXPECT_TRUE(budget.evaluation_fits(23));
  now = 1000 + 95;
  EXPECT_FALSE(budget.evaluation_fits(1));
}

TEST_F(TimeBudgetTest, ACheckpointThatWasNeverMeasuredCountsASecond) {
  now = 1000 + 98.8;
  EXPECT_TRUE(budget.step_fits());
  now = 1000 + 98.95;
  EXPECT_FALSE(budget.step_fits());
}

TEST(TimeBudget, WithoutALimitEverythingFits) {
  double now = 0;
  TimeBudget budget(0, [&now] { return now; });
  budget.record_step(1e9);
  now = 1e12;
  EXPECT_FALSE(budget.limited());
  EXPECT_TRUE(budget.step_fits());
  EXPECT_TRUE(budget.evaluation_fits(1000));
}

TEST(TimeBudget, CountsFromTheGivenStart) {
  const TimeBudget budget(
      100, [] { return 50.0; }, 20.0);
  EXPECT_EQ(budget.elapsed(), 30);
  EXPECT_EQ(budget.remaining(), 70);
}

}  // namespace
}  // namespace sluice
