// Schedules: PyTorch's values at chosen steps, continuity at the end of the warm-up, ends, and the messages of bad
// keys.
#include "core/train/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using Type = ScheduleOptions::Type;

ScheduleOptions options_of(Type type, double warmup_epochs = 0) {
  ScheduleOptions options;
  options.type = type;
  options.warmup_epochs = warmup_epochs;
  options.milestones = {6, 10};
  return options;
}

constexpr Type kTypes[] = {Type::kConstant,   Type::kStep,   Type::kMultistep,
                           Type::kPolynomial, Type::kCosine, Type::kOneCycle};

void expect_values(const Schedule& schedule, const std::map<std::int64_t, double>& expected) {
  for (const auto& [step, lr] : expected) EXPECT_NEAR(schedule.lr(step), lr, 1e-12) << "step " << step;
}

// 12 epochs of 10 steps, lr 0.4; printed by torch.optim.lr_scheduler (1.13) stepped once for each step.
TEST(Schedule, CosineBehindWarmupIsPyTorchs) {
  ScheduleOptions options = options_of(Type::kCosine, 2);
  options.min_lr = 0.004;
  expect_values(Schedule(options, 0.4, 10, 12), {{0, 0.04},
                                                 {7, 0.166},
                                                 {19, 0.382},
                                                 {20, 0.4},
                                                 {21, 0.39990229895241486},
                                                 {59, 0.26907010820856764},
                                                 {70, 0.202},
                                                 {99, 0.045549307549613255},
                                                 {119, 0.004097701047585143}});
}

TEST(Schedule, PolynomialBehindWarmupIsPyTorchs) {
  ScheduleOptions options = options_of(Type::kPolynomial, 2);
  options.power = 2;
  expect_values(Schedule(options, 0.4, 10, 12),
                {{0, 0.04}, {7, 0.166}, {20, 0.4}, {21, 0.39204}, {59, 0.14884}, {100, 0.016}, {119, 4e-5}});
}

TEST(Schedule, StepsArePyTorchs) {
  expect_values(Schedule(options_of(Type::kMultistep), 0.4, 10, 12),
                {{0, 0.4}, {59, 0.4}, {60, 0.04}, {99, 0.04}, {100, 0.004}, {119, 0.004}});
  ScheduleOptions options = options_of(Type::kStep);
  options.step_epochs = 3;
  options.gamma = 0.5;
  expect_values(Schedule(options, 0.4, 10, 12),
                {{0, 0.4}, {29, 0.4}, {30, 0.2}, {59, 0.2}, {60, 0.1}, {99, 0.05}, {119, 0.05}});
}

TEST(Schedule, OneCycleIsPyTorchs) {
  ScheduleOptions options = options_of(Type::kOneCycle);
  options.div = 20;
  options.final_div = 500;
  expect_values(Schedule(options, 0.4, 10, 12), {{0, 0.02},
                                                 {1, 0.02076488414090455},
                                                 {17, 0.20147568223340218},
                                                 {34, 0.39923511585909544},
                                                 {35, 0.4},
                                                 {36, 0.39986015494358396},
                                                 {80, 0.17762934406886052},
                                                 {118, 0.00017984505641604632},
                                                 {119, 4e-5}});
}

// Warm-up of 1.7 epochs of 7 steps: 12 steps. The ramp, prolonged to the end of the warm-up, meets the shape.
TEST(Schedule, EveryTypeIsContinuousAtTheEndOfTheWarmup) {
  for (Type type : kTypes) {
    ScheduleOptions options = options_of(type, 1.7);
    options.milestones = {1, 9};  // also with a drop inside the warm-up
    const Schedule schedule(options, 0.3, 7, 20);
    ASSERT_EQ(schedule.warmup_steps(), 12);
    const double slope = schedule.lr(1) - schedule.lr(0), end = schedule.lr(12);
    EXPECT_GT(slope, 0);
    EXPECT_NEAR(schedule.lr(0), 0.1 * end, 1e-15);
    for (std::int64_t step = 0; step < 12; ++step)
      EXPECT_NEAR(schedule.lr(step), schedule.lr(0) + slope * static_cast<double>(step), 1e-15);
    EXPECT_NEAR(schedule.lr(11) + slope, end, 1e-15) << static_cast<int>(type);
  }
}

TEST(Schedule, NeverNegativeNeverAboveTheBaseAndConstantBeyondTheEnd) {
  for (Type type : kTypes)
    for (double warmup : {0.0, 0.1, 3.0, 8.0})
      for (std::int64_t epochs : {1, 8}) {
        const Schedule schedule(options_of(type, warmup), 0.3, 5, epochs);
        for (std::int64_t step = 0; step < 60; ++step) {
          ASSERT_TRUE(schedule.lr(step) >= 0 && schedule.lr(step) <= 0.3 + 1e-15) << step;
        }
        if (type == Type::kStep || type == Type::kMultistep) continue;
        EXPECT_EQ(schedule.lr(schedule.total_steps() + 1), schedule.lr(schedule.total_steps() + 100));
      }
}

TEST(Schedule, APlaceInTheRunHasItsRateWhateverTheNumberOfSteps) {
  for (Type type : {Type::kConstant, Type::kStep, Type::kMultistep, Type::kPolynomial, Type::kCosine}) {
    const Schedule many(options_of(type, 1), 0.3, 40, 16), few(options_of(type, 1), 0.3, 10, 16);
    for (std::int64_t step = 0; step < 640; ++step)
      ASSERT_NEAR(few.lr_at(static_cast<double>(step) / 4), many.lr(step), 1e-12) << step;
  }
}

TEST(Schedule, EndsWhereTheKeysSay) {
  for (Type type : {Type::kPolynomial, Type::kCosine}) {
    ScheduleOptions options = options_of(type, 1);
    options.min_lr = 0.01;
    EXPECT_NEAR(Schedule(options, 0.3, 5, 8).lr(40), 0.01, 1e-15);
  }
  ScheduleOptions cycle = options_of(Type::kOneCycle);
  EXPECT_NEAR(Schedule(cycle, 0.3, 5, 8).lr(39), 0.3 / 25 / 1e4, 1e-15);
  cycle.pct_start = 0;
  EXPECT_EQ(Schedule(cycle, 0.3, 5, 8).lr(0), 0.3);
  cycle.pct_start = 1;
  EXPECT_EQ(Schedule(cycle, 0.3, 5, 8).lr(39), 0.3);
}

TEST(Schedule, FractionalEpochsRoundToWholeSteps) {
  ScheduleOptions options = options_of(Type::kMultistep);
  options.milestones = {0.3, 1.5};
  const Schedule schedule(options, 1, 391, 2);
  EXPECT_EQ(schedule.lr(116), 1);
  EXPECT_NEAR(schedule.lr(117), 0.1, 1e-15);
  EXPECT_NEAR(schedule.lr(586), 0.1, 1e-15);
  EXPECT_NEAR(schedule.lr(587), 0.01, 1e-15);
  ScheduleOptions steps = options_of(Type::kStep);
  steps.step_epochs = 0.1;
  for (int drop = 0; drop < 20; ++drop)
    EXPECT_NEAR(Schedule(steps, 1, 30, 2).lr(3 * drop), std::pow(0.1, drop), 1e-12) << drop;
}

std::string errors_of(const std::string& text, std::vector<std::string>* warnings = nullptr) {
  Config config = Config::parse("[schedule]\n" + text, "a.ini");
  std::string message = "no error";
  try {
    const auto options = config.read<ScheduleOptions>("schedule");
    options.check(config, 0.1, 90);
    config.check();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    message = error.what();
  }
  if (warnings != nullptr) *warnings = config.diagnostics().warnings();
  return message;
}

TEST(ScheduleKeys, GoodOnesAreTaken) {
  Config config = Config::parse(
      "[schedule]\ntype = multistep\nmilestones = 30, 60.5\ngamma = 0.2\nwarmup_epochs = 0.5\nwarmup_start = 0\n",
      "a.ini");
  const auto options = config.read<ScheduleOptions>("schedule");
  config.check();
  EXPECT_EQ(options.milestones, (std::vector<double>{30, 60.5}));
  EXPECT_EQ(options.type, Type::kMultistep);
  EXPECT_EQ(options.gamma, 0.2);
  EXPECT_EQ(Schedule(options, 1, 10, 90).lr(0), 0);
}

TEST(ScheduleKeys, BadOnesAreNamed) {
  EXPECT_EQ(errors_of("type = cosin\n"),
            "a.ini:2: [schedule] type: expected one of constant, step, multistep, polynomial, cosine, one_cycle, got "
            "'cosin'; did you mean 'cosine'?");
  EXPECT_EQ(errors_of("type = multistep\n"),
            "a.ini:1: [schedule] milestones: type = multistep needs the epochs of its drops, such as 60, 80");
  EXPECT_EQ(errors_of("type = multistep\nmilestones = 30, 60, 60\n"),
            "a.ini:3: [schedule] milestones: must increase, but 60 comes after 60");
  EXPECT_EQ(errors_of("type = multistep\nmilestones = 30, -1\n"),
            "a.ini:3: [schedule] milestones: expected numbers above 0 separated by commas, got '-1' in '30, -1'");
  EXPECT_EQ(errors_of("type = cosine\nmin_lr = 0.5\n"),
            "a.ini:3: [schedule] min_lr: 0.5 is above [optimizer] lr = 0.1");
  EXPECT_EQ(errors_of("warmup_epochs = 90\n"),
            "a.ini:2: [schedule] warmup_epochs: a warm-up of 90 epochs leaves nothing of [train] epochs = 90");
}

TEST(ScheduleKeys, UselessOnesAreWarnedAbout) {
  std::vector<std::string> warnings;
  EXPECT_EQ(errors_of("type = multistep\nmilestones = 2, 30, 90\nwarmup_epochs = 5\n", &warnings), "no error");
  EXPECT_EQ(warnings,
            (std::vector<std::string>{"a.ini:3: [schedule] milestones: 2 lies inside the warm-up of 5 epochs",
                                      "a.ini:3: [schedule] milestones: 90 is never reached, [train] epochs = 90"}));
  EXPECT_EQ(errors_of("type = step\nstep_epochs = 100\n", &warnings), "no error");
  EXPECT_EQ(warnings,
            (std::vector<std::string>{"a.ini:3: [schedule] step_epochs: the first drop comes after 100 epochs, "
                                      "but [train] epochs = 90"}));
  EXPECT_EQ(errors_of("type = cosine\ngamma = 0.1\n", &warnings), "no error");
  EXPECT_EQ(warnings, (std::vector<std::string>{"a.ini:3: [schedule] gamma: has no effect with type = cosine"}));
}

TEST(ScheduleKeys, AllAreDocumented) {
  Keys keys;
  ScheduleOptions().describe(keys);
  std::vector<std::string> names;
  for (const KeyDoc& doc : keys.docs()) names.push_back(doc.name);
  EXPECT_THAT(names, testing::ElementsAre("type", "warmup_epochs", "warmup_start", "step_epochs", "milestones", "gamma",
                                          "min_lr", "power", "pct_start", "div", "final_div"));
}

}  // namespace
}  // namespace sluice
