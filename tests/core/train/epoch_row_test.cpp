// An epoch as a line for people: all of it where there is room, what was evaluated where there is little.
#include "core/train/epoch_row.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

const MetricsRow kRow = {{"epoch", std::int64_t{3}},
                         {"step", std::int64_t{30}},
                         {"lr", 0.05},
                         {"train_loss", 1.23456},
                         {"train_accuracy", 0.4567},
                         {"gating_loss", 0.25},
                         {"gate_density", 0.5},
                         {"sparsity", 0.5},
                         {"macs_executed", 1e6},
                         {"gradient_norm", 2.0},
                         {"images_per_second", 1250.4},
                         {"val_loss", 1.3},
                         {"val_accuracy", 0.4412},
                         {"val_top5_accuracy", 0.9},
                         {"val_gate_density", 0.453},
                         {"val_density/conv1", 0.4}};

std::string line(std::size_t room) {
  return fitting_line(row_line(kRow, 60), room, ", ");
}

TEST(EpochRow, SaysAllWhereThereIsRoom) {
  EXPECT_EQ(line(SIZE_MAX),
            "epoch 3/60, lr 0.05, train_loss 1.235, train_accuracy 45.67 %, gating_loss 0.250, gate_density 0.500, "
            "images_per_second 1250.400, val_loss 1.300, val_accuracy 44.12 %, val_top5_accuracy 90.00 %, "
            "val_gate_density 0.453");
}

TEST(EpochRow, OnlyAMetricThatIsOneMinusAnotherIsLeftOut) {
  const MetricsRow row = {{"epoch", std::int64_t{1}}, {"val_loss", 1.0},     {"val_accuracy", 0.0},
                          {"val_gate_density", 1.0},  {"val_sparsity", 0.0}, {"val_flop_reduction", 1.0}};
  EXPECT_EQ(fitting_line(row_line(row, 2), SIZE_MAX, ", "),
            "epoch 1/2, val_loss 1.000, val_accuracy 0.00 %, val_gate_density 1.000, val_flop_reduction 1.000");
}

TEST(EpochRow, WhatWasEvaluatedStaysOnANarrowTerminal) {
  EXPECT_EQ(line(60), "3/60 loss 1.23 val_loss 1.30 val_acc 44.1% val_dens 0.45");
  EXPECT_EQ(line(80), "3/60 loss 1.23 acc 45.7% 1250/s val_loss 1.30 val_acc 44.1% val_dens 0.45");
  EXPECT_EQ(line(40), "3/60 val_loss 1.30 val_acc 44.1%");
}

}  // namespace
}  // namespace sluice
