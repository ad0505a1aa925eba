// An epoch as a line for people: all of it where there is room, what was evaluated where there is little.
#include "core/train/epoch_row.hpp"

#include <gtest/gtest.h>

#include <cctype>

namespace sluice {
namespace {

const MetricsRow kRow = {{"epoch", std::int64_t{3}},  {"step", std::int64_t{30}},  {"lr", 0.05},
                         {"train_loss", 1.23456},     {"train_accuracy", 0.4567},  {"gating_loss", 0.25},
                         {"gate_density", 0.5},       {"sparsity", 0.5},           {"macs_executed", 1e6},
                         {"gradient_norm", 2.0},      {"seconds", 12.34},          {"images_per_second", 1250.4},
                         {"val_loss", 1.3},           {"val_accuracy", 0.4412},    {"val_top5_accuracy", 0.9},
                         {"val_gate_density", 0.453}, {"val_flop_reduction", 2.5}, {"val_density/conv1", 0.4}};

const std::vector<std::string> kColumns = {"epoch",
                                           "lr",
                                           "train_loss",
                                           "train_accuracy",
                                           "gating_loss",
                                           "gate_density",
                                           "seconds",
                                           "images_per_second",
                                           "val_loss",
                                           "val_accuracy",
                                           "val_top5_accuracy",
                                           "val_gate_density",
                                           "val_flop_reduction"};

std::string line(std::size_t room, const MetricsRow& row = kRow) {
  return fitting_line(row_line(row, kColumns, 60), room, ", ");
}

TEST(EpochRow, SaysAllWhereThereIsRoom) {
  EXPECT_EQ(line(SIZE_MAX),
            "epoch 3/60, lr 0.0500, train_loss 1.2346, train_accuracy 45.67 %, gating_loss 0.2500, density 50.0 %, "
            "seconds 12.3, images_per_second 1250.4, val_loss 1.3000, val_accuracy 44.12 %, val_top5_accuracy 90.00 %, "
            "val_density 45.3 %, val_cost 40.0 %");
}

TEST(EpochRow, WhatHasNoValueStandsThereWithADash) {
  EXPECT_EQ(line(SIZE_MAX, {{"epoch", 2.375}, {"step", std::int64_t{20}}, {"lr", 0.1}, {"val_loss", 1.25}}),
            "epoch 2.375/60, lr 0.100, train_loss -, train_accuracy -, gating_loss -, density -, seconds -, "
            "images_per_second -, val_loss 1.2500, val_accuracy -, val_top5_accuracy -, val_density -, val_cost -");
}

TEST(EpochRow, WhatWasEvaluatedStaysOnANarrowTerminal) {
  EXPECT_EQ(line(60), "3/60 loss 1.23 val_loss 1.30 val_acc 44.1% val_dens 45%");
  EXPECT_EQ(line(80), "3/60 loss 1.23 1250/s val_loss 1.30 val_acc 44.1% val_dens 45% val_cost 40%");
  EXPECT_EQ(line(40), "3/60 val_loss 1.30 val_acc 44.1%");
}

TEST(EpochRow, OfDensityAndCostTheFirstStaysLonger) {
  const std::vector<std::string> columns = {"epoch",    "train_loss",   "flop_reduction",     "gate_density",
                                            "val_loss", "val_accuracy", "val_flop_reduction", "val_gate_density"};
  EXPECT_EQ(fitting_line(row_line(kRow, columns, 60), 60, ", "),
            "3/60 loss 1.23 val_loss 1.30 val_acc 44.1% val_cost 40%");
}

/// The words of a line without its numbers.
std::string fields(const std::string& text) {
  std::string words;
  for (const char c : text)
    if (c == '_' || c == ',' || std::isalpha(static_cast<unsigned char>(c)) != 0) words += c;
  return words;
}

TEST(EpochRow, AllRowsOfARunSayTheSame) {
  MetricsRow first = kRow, evaluated_later = kRow, last = kRow;
  first[0].second = std::int64_t{60};
  evaluated_later.resize(12);
  last[2].second = 0.000123;
  last[3].second = 0.05;
  last[4].second = last[14].second = 1.0;
  for (std::size_t room = 30; room < 240; ++room) {
    for (const MetricsRow& row : {first, evaluated_later, last}) {
      EXPECT_EQ(fields(line(room, row)), fields(line(room))) << room;
      EXPECT_LE(line(room, row).size(), room);
    }
  }
}

TEST(EpochRow, FindsWhatAnEpochHad) {
  HistoryTable table;
  append_row(table, {{"epoch", std::int64_t{1}}, {"val_loss", 2.0}});
  append_row(table, {{"epoch", 1.5}, {"val_loss", 1.5}});
  append_row(table, {{"epoch", std::int64_t{2}}, {"val_bits", 3.0}});
  EXPECT_EQ(value_at(table, 1.5, "val_loss"), 1.5);
  EXPECT_EQ(value_at(table, 2, "val_bits"), 3.0);
  EXPECT_EQ(value_at(table, 2, "val_loss"), std::nullopt);
  EXPECT_EQ(value_at(table, 1, "lr"), std::nullopt);
}

}  // namespace
}  // namespace sluice
