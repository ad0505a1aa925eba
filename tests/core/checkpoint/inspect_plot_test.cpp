// The curves of the inspector: which there are, and what is said of them.
#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "core/checkpoint/inspect.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Plot : public InDirectory {
 protected:
  std::string plot(const Checkpoint& checkpoint) {
    save(checkpoint, path("a.h5"));
    InspectOptions options;
    options.file = path("a.h5");
    options.plot = true;
    std::ostringstream out, err;
    EXPECT_EQ(inspect(options, out, err), 0);
    return out.str();
  }
};

TEST_F(Plot, WhatStaysTheSameIsNoCurve) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.history.columns = {"epoch", "lr", "val_flop_reduction", "val_top5_accuracy", "train_loss"};
  const double nan = std::nan("");
  checkpoint.history.rows = {{1, 0.05, 4, nan, 2}, {2, 0.05, 2, nan, HUGE_VAL}, {3, 0.05, 4, 0.5, 2}};
  const std::string text = plot(checkpoint);
  EXPECT_THAT(text,
              HasSubstr("lr 0.0500 in all epochs\nval_cost: last 25.0 %, lowest 25.0 % at epoch 1, highest 50.0 % at "
                        "epoch 2\n"));
  EXPECT_THAT(text, HasSubstr("val_top5_accuracy 50.00 % at epoch 3\ntrain_loss: last 2.0000, "));
}

TEST_F(Plot, EachFigureIsDrawnOnce) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.history.columns = {"epoch",    "train_accuracy", "val_accuracy",      "gate_density",
                                "sparsity", "val_sparsity",   "val_macs_executed", "val_flop_reduction"};
  const double nan = std::nan("");
  checkpoint.history.rows = {{1, 0.5, 0.5, 0.75, 0.25, 0.125, nan, nan}, {2, 0.75, 0.25, 0.5, 0.5, 0.25, 9e6, 4}};
  checkpoint.history.rows.push_back({3, 0.75, 0.25, 0.5, 0.5, 0.25, 18e6, 2});
  std::vector<std::string> titles;
  std::istringstream text(plot(checkpoint));
  for (std::string line; std::getline(text, line);)
    if (line.find(": last ") != std::string::npos) titles.push_back(line.substr(0, line.find(": last ")));
  // A sparsity without its density is drawn; accuracies of different images may happen to add up to 1.
  EXPECT_THAT(titles, ElementsAre("train_accuracy", "val_accuracy", "density", "val_sparsity", "val_multiply-adds"));
  EXPECT_THAT(plot(checkpoint),
              HasSubstr("val_multiply-adds: last 18.00 M (50.0 %), lowest 9.00 M (25.0 %) at epoch 2, highest "
                        "18.00 M (50.0 %) at epoch 3\n"));
}

}  // namespace
}  // namespace sluice
