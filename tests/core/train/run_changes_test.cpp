// Which changes of its configuration a run may go on with.
#include "core/train/run_changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Change kLr{"optimizer", "lr", "0.1", "0.01", {KeyRole::kDecides, ""}};
const Change kBatch{"train", "batch", "8", "16", {KeyRole::kContinues, "steps"}};
const Change kThreads{"run", "threads", "1", "2", {KeyRole::kRounding, "bits"}};
const Change kDir{"run", "dir", "a", "b", {KeyRole::kNothing, "none"}};
const RunStanding kRunning{3, false, false}, kFinished{5, true, false};

Change epochs(const std::string& now) {
  return {"train", "epochs", "5", now, {KeyRole::kContinues, ""}};
}

/// The text of the refusal, or "".
std::string refusal(const std::vector<Change>& changes, const RunStanding& standing,
                    const ResumePermission& permission = {}) {
  try {
    judge_changes("runs/a", changes, standing, permission);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

std::vector<std::string> keys_of(const std::vector<Change>& changes) {
  std::vector<std::string> keys;
  for (const Change& change : changes) keys.push_back(change.key);
  return keys;
}

TEST(RunChanges, HarmlessOnesAreAcceptedAlways) {
  for (const RunStanding& standing : {kRunning, kFinished}) {
    const AcceptedChanges accepted = judge_changes("a", {kThreads, kDir}, standing, {});
    EXPECT_THAT(keys_of(accepted.harmless), ElementsAre("threads", "dir"));
    EXPECT_THAT(keys_of(accepted.recorded), ElementsAre("threads"));
    EXPECT_FALSE(accepted.decides);
  }
}

TEST(RunChanges, ARunGoesOnWithOthersOnlyWhileSomethingIsLeftToTrain) {
  const AcceptedChanges accepted = judge_changes("a", {kBatch, kDir}, kRunning, {});
  EXPECT_THAT(keys_of(accepted.recorded), ElementsAre("batch"));
  EXPECT_TRUE(accepted.decides);
  EXPECT_EQ(
      refusal({kBatch, kDir}, kFinished),
      "runs/a: holds a run of another configuration ([train] batch: 8 -> 16); nothing is left to train in it: choose "
      "another run.dir");
}

TEST(RunChanges, WhatDecidesTheResultNeedsAWord) {
  EXPECT_EQ(
      refusal({kLr, kBatch, kThreads}, kRunning),
      "runs/a: holds a run of another configuration ([optimizer] lr: 0.1 -> 0.01; [train] batch: 8 -> 16); choose "
      "another run.dir; or --accept-changes goes on with them from here");
  EXPECT_EQ(refusal({kLr}, kRunning, {true, false}), refusal({kLr}, kRunning));
  EXPECT_EQ(refusal({kLr}, kRunning, {false, true}), "");
  EXPECT_EQ(
      refusal({kLr}, kFinished, {true, true}),
      "runs/a: holds a run of another configuration ([optimizer] lr: 0.1 -> 0.01); nothing is left to train in it: "
      "choose another run.dir");
}

TEST(RunChanges, EpochsMayChangeWhereTheScheduleDoesNotFollowThem) {
  EXPECT_EQ(refusal({epochs("9")}, kRunning), "");
  EXPECT_EQ(refusal({epochs("3")}, kRunning), "");
  EXPECT_EQ(refusal({epochs("3")}, {3, true, false}), "") << "the run ends where it stands";
  EXPECT_EQ(
      refusal({epochs("2")}, {3, true, false}),
      "runs/a: holds a run of another configuration ([train] epochs: 5 -> 2); it has trained 3 epochs already: give "
      "--train.epochs=3 or more")
      << "epochs alone: it is the same run";
  EXPECT_EQ(
      refusal({epochs("2")}, {3, true, true}),
      "runs/a: holds a run of another configuration ([train] epochs: 5 -> 2); it has trained 3 epochs already: give "
      "--train.epochs=5, or more with --extend");
  EXPECT_EQ(
      refusal({kLr, epochs("2")}, {3, true, false}),
      "runs/a: holds a run of another configuration ([optimizer] lr: 0.1 -> 0.01; [train] epochs: 5 -> 2); it has "
      "trained 3 epochs already: choose another run.dir");
}

TEST(RunChanges, ASchedulesStretchNeedsAWord) {
  const RunStanding standing{5, false, true};
  EXPECT_EQ(
      refusal({epochs("9")}, standing),
      "runs/a: holds a run of another configuration ([train] epochs: 5 -> 9); choose another run.dir; or --extend "
      "stretches the schedule to the new number of epochs");
  EXPECT_EQ(refusal({epochs("9")}, standing, {true, false}), "");
  EXPECT_EQ(
      refusal({kLr, epochs("9")}, standing),
      "runs/a: holds a run of another configuration ([optimizer] lr: 0.1 -> 0.01; [train] epochs: 5 -> 9); choose "
      "another run.dir; or --accept-changes goes on with them from here, --extend stretches the schedule to the new "
      "number of epochs");
}

TEST(RunChanges, ManyAreCounted) {
  std::vector<Change> many;
  for (int i = 0; i < 20; ++i) many.push_back({"s", "k" + std::to_string(i), "a", "b", {}});
  EXPECT_EQ(
      refusal(many, kRunning),
      "runs/a: holds a run of another configuration ([s] k0: a -> b; [s] k1: a -> b; [s] k2: a -> b; [s] k3: a -> b; "
      "[s] k4: a -> b; [s] k5: a -> b; [s] k6: a -> b; [s] k7: a -> b; and 12 more); choose another run.dir; or "
      "--accept-changes goes on with them from here");
  EXPECT_THAT(judge_changes("a", {}, kRunning, {}).recorded, IsEmpty());
}

}  // namespace
}  // namespace sluice
