// What people read for a column of metrics.
#include "core/checkpoint/history_column.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice {
namespace {

TEST(HistoryColumn, ShownNames) {
  EXPECT_EQ(shown_name("gate_density"), "density");
  EXPECT_EQ(shown_name("val_gate_density"), "val_density");
  EXPECT_EQ(shown_name("test_flop_reduction"), "test_cost");
  EXPECT_EQ(shown_name("val_macs_executed"), "val_multiply-adds");
  EXPECT_EQ(shown_name("average_bits"), "bits");
  EXPECT_EQ(shown_name("val_accuracy"), "val_accuracy");
  EXPECT_EQ(shown_name("val_open_share"), "val_open_share");
}

TEST(HistoryColumn, Texts) {
  EXPECT_EQ(metric_text("val_accuracy", 0.915), "91.50 %");
  EXPECT_EQ(metric_text("val_top5_accuracy", 0.9915), "99.15 %");
  EXPECT_EQ(metric_text("gate_density", 0.4507), "45.1 %");
  EXPECT_EQ(metric_text("val_density/conv1", 0.4507), "45.1 %");
  EXPECT_EQ(metric_text("val_flop_reduction", 4), "4");
  EXPECT_EQ(metric_text("val_macs_executed", 18412345), "18.41 M");
  EXPECT_EQ(metric_text("val_average_bits", 2.706), "2.71");
  EXPECT_EQ(metric_text("train_loss", 1.23456), "1.2346");
  EXPECT_EQ(metric_text("lr", 0.05), "0.0500");
  EXPECT_EQ(metric_text("epoch", 2.375), "2.375");
  EXPECT_EQ(metric_text("step", 1234567), "1234567");
  EXPECT_EQ(metric_text("images_per_second", 1250.44), "1250.4");
  EXPECT_EQ(metric_text("data_wait_percent", 0.0123), "0.0 %");
  EXPECT_EQ(metric_text("gradient_norm", 2.71828), "2.718");
  EXPECT_EQ(metric_text("val_loss", std::nan("")), "nan");
}

TEST(HistoryColumn, ShownTexts) {
  EXPECT_EQ(shown_text("val_accuracy", 0.915), "91.50 %");
  EXPECT_EQ(shown_text("val_flop_reduction", 4), "25.0 %");
  EXPECT_EQ(shown_text("flop_reduction", HUGE_VAL), "0.0 %");
  EXPECT_EQ(shown_text("flop_reduction", std::nan("")), "nan");
}

TEST(HistoryColumn, ColumnsThatSayTheSame) {
  EXPECT_EQ(complement_of("val_sparsity"), "val_gate_density");
  EXPECT_EQ(complement_of("sparsity"), "gate_density");
  EXPECT_EQ(complement_of("val_gate_density"), "");
  EXPECT_EQ(complement_of("val_accuracy"), "");
  EXPECT_TRUE(is_work("val_macs_executed"));
  EXPECT_FALSE(is_work("val_flop_reduction"));
  EXPECT_EQ(cost_beside("val_macs_executed"), "val_flop_reduction");
}

TEST(HistoryColumn, MarginsHaveTheDigitsThatWereWritten) {
  EXPECT_EQ(margin_text("val_accuracy", 0.001), "0.1 %");
  EXPECT_EQ(margin_text("val_loss", 0.01), "0.01");
}

}  // namespace
}  // namespace sluice
