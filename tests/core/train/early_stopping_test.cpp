// Best value, patience in epochs, and the reason that goes into the log.
#include "core/train/early_stopping.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/config/config.hpp"

namespace sluice {
namespace {

using Goal = EarlyStoppingOptions::Goal;

TEST(EarlyStopping, StopsAfterThePatienceAndSaysWhy) {
  EarlyStopping stopping({"val_accuracy", Goal::kAuto, 3, 0.001});
  EXPECT_TRUE(stopping.observe(1, 0.90));
  EXPECT_TRUE(stopping.observe(2, 0.915));
  EXPECT_TRUE(stopping.observe(3, 0.9155));  // the best, but by less than min_delta
  EXPECT_FALSE(stopping.observe(4, 0.915));
  EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
  EXPECT_FALSE(stopping.observe(5, 0.90));
  EXPECT_EQ(stopping.reason_to_stop(),
            "val_accuracy has not improved on 91.50 % (epoch 2) by more than 0.1 % for 3 epochs");
  EXPECT_EQ(stopping.state().best, 0.9155);
  EXPECT_EQ(stopping.state().best_epoch, 3);
}

// What somebody wrote is told in other words, so that per cent written for a share are seen.
TEST(EarlyStopping, SaysItsRuleInTheUnitsOfPeople) {
  const auto rule = [](const std::string& metric, double patience, double min_delta) {
    return EarlyStopping({metric, Goal::kAuto, patience, min_delta}).rule();
  };
  EXPECT_EQ(rule("val_accuracy", 20, 0.01), "stops when val_accuracy has not improved by more than 1 % for 20 epochs");
  EXPECT_EQ(rule("val_loss", 1, 0.01), "stops when val_loss has not improved by more than 0.01 for 1 epoch");
  EXPECT_EQ(rule("val_accuracy", 3, 0), "stops when val_accuracy has not improved for 3 epochs");
  EXPECT_EQ(rule("val_accuracy", 0, 0.01), std::nullopt);
}

TEST(EarlyStopping, AnImprovementStartsThePatienceAnew) {
  EarlyStopping stopping({"val_loss", Goal::kAuto, 2, 0});
  EXPECT_TRUE(stopping.observe(1, 2.0));
  EXPECT_FALSE(stopping.observe(2, 2.0));
  EXPECT_TRUE(stopping.observe(3, 1.9));
  EXPECT_FALSE(stopping.observe(4, 2.5));
  EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
  EXPECT_FALSE(stopping.observe(5, 2.5));
  EXPECT_EQ(stopping.reason_to_stop(), "val_loss has not improved on 1.9000 (epoch 3) for 2 epochs");
}

// Evaluating every fourth epoch does not multiply the patience.
TEST(EarlyStopping, PatienceCountsEpochsNotEvaluations) {
  EarlyStopping stopping({"val_accuracy", Goal::kAuto, 8, 0});
  for (const double epoch : {4.0, 8.0}) stopping.observe(epoch, 0.5);
  EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
  stopping.observe(12, 0.5);
  EXPECT_EQ(stopping.reason_to_stop(), "val_accuracy has not improved on 50.00 % (epoch 4) for 8 epochs");
}

// Evaluations within epochs count where they are.
TEST(EarlyStopping, PatienceMayEndWithinAnEpoch) {
  EarlyStopping stopping({"val_loss", Goal::kAuto, 1.5, 0});
  EXPECT_TRUE(stopping.observe(0.5, 2.0));
  EXPECT_TRUE(stopping.observe(1, 1.5));
  for (const double epoch : {1.333333, 1.666667, 2.0, 2.333333}) {
    EXPECT_FALSE(stopping.observe(epoch, 1.6));
    EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
  }
  EXPECT_FALSE(stopping.observe(2.5, 1.6));
  EXPECT_EQ(stopping.reason_to_stop(), "val_loss has not improved on 1.5000 (epoch 1) for 1.500 epochs");
  EarlyStopping one({"val_loss", Goal::kAuto, 1, 0});
  one.observe(0.666667, 2.0);
  EXPECT_FALSE(one.observe(1.666667, 2.0));
  EXPECT_EQ(one.reason_to_stop(), "val_loss has not improved on 2.0000 (epoch 0.667) for 1 epoch");
}

TEST(EarlyStopping, TheGoalComesFromTheNameUnlessItIsGiven) {
  const auto prefers_low = [](const std::string& metric, Goal goal) {
    EarlyStopping stopping({metric, goal, 0, 0});
    stopping.observe(1, 2);
    return stopping.observe(2, 1);
  };
  EXPECT_TRUE(prefers_low("val_loss", Goal::kAuto));
  EXPECT_TRUE(prefers_low("error", Goal::kAuto));
  EXPECT_FALSE(prefers_low("val_accuracy", Goal::kAuto));
  EXPECT_FALSE(prefers_low("loss_scale", Goal::kAuto));
  EXPECT_FALSE(prefers_low("val_loss", Goal::kMax));
  EXPECT_TRUE(prefers_low("density", Goal::kMin));
}

TEST(EarlyStopping, NaNIsNeverTheBest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EarlyStopping stopping({"val_loss", Goal::kAuto, 2, 0});
  EXPECT_FALSE(stopping.observe(1, nan));
  EXPECT_FALSE(stopping.observe(2, nan));
  EXPECT_EQ(stopping.reason_to_stop(), "val_loss has had no value for 2 epochs");
  EXPECT_TRUE(stopping.observe(3, 5));
  EXPECT_FALSE(stopping.observe(4, nan));
  EXPECT_EQ(stopping.state().best, 5);
  EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
}

TEST(EarlyStopping, WithoutPatienceItNeverStops) {
  EarlyStopping stopping({"val_accuracy", Goal::kAuto, 0, 0});
  for (int epoch = 1; epoch < 1000; ++epoch) stopping.observe(epoch, 1);
  EXPECT_EQ(stopping.reason_to_stop(), std::nullopt);
}

TEST(EarlyStopping, GoesOnFromItsState) {
  EarlyStopping first({"val_accuracy", Goal::kAuto, 2, 0}), second = first;
  first.observe(1, 0.8);
  first.observe(2, 0.79);
  second.restore(first.state());
  EXPECT_FALSE(second.observe(3, 0.79));
  EXPECT_EQ(second.reason_to_stop(), "val_accuracy has not improved on 80.00 % (epoch 1) for 2 epochs");
}

TEST(EarlyStopping, Keys) {
  Config config =
      Config::parse("[early_stopping]\nmetric = val_loss\ngoal = up\npatience = -1\nmin_delta = 0.5\n", "a.ini");
  const auto options = config.read<EarlyStoppingOptions>("early_stopping");
  EXPECT_EQ(options.metric, "val_loss");
  EXPECT_EQ(options.min_delta, 0.5);
  EXPECT_EQ(
      config.diagnostics().errors(),
      (std::vector<std::string>{"a.ini:3: [early_stopping] goal: expected one of auto, max, min, got 'up'",
                                "a.ini:4: [early_stopping] patience: expected a number of at least 0, got '-1'"}));
}

}  // namespace
}  // namespace sluice
