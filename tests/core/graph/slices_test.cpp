// Inference of a batch in slices: the answers, the loss and the counts of the whole batch.
#include "core/graph/slices.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/parallel.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 8, kClasses = 5;

ExecutorOptions options(std::int64_t slice, ExecutorOptions::LayoutChoice layout) {
  ExecutorOptions options = options_of(Mode::kInference, kImages);
  options.slice = slice;
  options.layout = layout;
  return options;
}

class SlicesTest : public ::testing::TestWithParam<ExecutorOptions::LayoutChoice> {
 protected:
  std::unique_ptr<Executor> executor(std::int64_t slice) {
    auto executor = std::make_unique<Executor>(*net_, options(slice, GetParam()));
    executor->refresh();
    return executor;
  }

  Built net_{residual_ini()};
  Batch batch_{*net_, kImages, kClasses, 4};
  std::unique_ptr<Executor> whole_ = executor(kImages), sliced_ = executor(2);
};

TEST_P(SlicesTest, SayWhatTheWholeBatchSays) {
  EXPECT_LT(sliced_->activation_bytes(), whole_->activation_bytes() / 2);
  const auto loss = static_cast<int>(net_->find("loss"));
  for (const bool lent : {false, true}) {
    for (Executor* executor : {whole_.get(), sliced_.get()}) {
      if (lent) executor->lend_batch(batch_.data.data(), batch_.labels.data());
      if (!lent) executor->set_batch(batch_.data.data(), batch_.labels.data());
      executor->reset_statistics();
      executor->forward();
    }
    EXPECT_EQ(sliced_->logits().shape(), (Shape{kImages, kClasses}));
    EXPECT_LT(relative_difference(logits_of(*whole_), logits_of(*sliced_)), 1e-5);
    EXPECT_NEAR(sliced_->loss(), whole_->loss(), 1e-5);
    EXPECT_EQ(sliced_->counts(loss)[0], kImages);
    EXPECT_EQ(sliced_->counts(loss)[1], whole_->counts(loss)[1]);
    EXPECT_NEAR(sliced_->sums(loss)[0], whole_->sums(loss)[0], 1e-4);
  }
}

TEST_P(SlicesTest, ImagesThatWereCopiedMayChange) {
  Batch given = batch_;
  sliced_->set_batch(given.data.data(), given.labels.data());
  std::fill(given.data.begin(), given.data.end(), std::numeric_limits<float>::quiet_NaN());
  sliced_->forward();
  batch_.give(*whole_);
  whole_->forward();
  EXPECT_LT(relative_difference(logits_of(*whole_), logits_of(*sliced_)), 1e-5);
}

TEST_P(SlicesTest, LabelsMayBeAbsent) {
  sliced_->set_batch(batch_.data.data(), nullptr);
  sliced_->forward();
  batch_.give(*whole_);
  whole_->forward();
  EXPECT_LT(relative_difference(logits_of(*whole_), logits_of(*sliced_)), 1e-5);
}

TEST_P(SlicesTest, FindTheLargestSourcesAndWhatIsNotFinite) {
  batch_.data[5] = 100;  // in the first slice
  for (Executor* executor : {whole_.get(), sliced_.get()}) batch_.give(*executor);
  const auto expected = whole_->largest_sources(), found = sliced_->largest_sources();
  EXPECT_EQ(expected.at("conv0"), 100);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [layer, largest] : expected) EXPECT_NEAR(found.at(layer), largest, 1e-4 * largest) << layer;
  EXPECT_EQ(sliced_->find_non_finite(0), "");
  batch_.data[5] = std::numeric_limits<float>::infinity();
  batch_.give(*sliced_);
  EXPECT_EQ(sliced_->find_non_finite(0), "conv0");
  batch_.data[5] = std::numeric_limits<float>::quiet_NaN();
  batch_.give(*sliced_);
  EXPECT_TRUE(std::isnan(sliced_->largest_sources().at("conv0")));
}

TEST_P(SlicesTest, OperationsAreOfTheBatch) {
  for (const OperationInfo& operation : sliced_->operations()) {
    if (operation.type == "softmax_cross_entropy") continue;
    EXPECT_EQ(operation.dst[kN], kImages) << operation.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, SlicesTest,
                         ::testing::Values(ExecutorOptions::LayoutChoice::kNhwc,
                                           ExecutorOptions::LayoutChoice::kBlocked),
                         [](const auto& layout) {
                           return layout.param == ExecutorOptions::LayoutChoice::kNhwc ? "nhwc" : "blocked";
                         });

/// A convolution of so many channels over images of 32x32.
std::string convolution(int channels, const std::string& type = "conv") {
  return "[network]\ninput = 3x32x32\n[layer.conv]\ntype = " + type +
         "\nkernel = 3\npad = 1\nchannels = " + std::to_string(channels) + "\n";
}

TEST(Slices, AreForBatchesThatLeaveTheCaches) {
  const Built narrow(convolution(16)), wide(convolution(64));
  const std::int64_t threads = num_threads();
  ExecutorOptions of = options_of(Mode::kInference, 96 * threads);
  EXPECT_EQ(slice_of(*narrow, of), 24 * threads) << "a result of 64 KiB for each image";
  EXPECT_EQ(slice_of(*wide, of), of.batch) << "few images would fit";
  of.batch = 16 * threads;
  EXPECT_EQ(slice_of(*narrow, of), of.batch);
  of.batch = 97 * threads;
  EXPECT_EQ(of.batch % slice_of(*narrow, of), 0);
  of.slice = threads;
  EXPECT_EQ(slice_of(*narrow, of), threads) << "as asked for";
}

TEST(Slices, AreNotForTrainingDecisionsAndScalesOfTheBatch) {
  const Built conv(convolution(16)), quantized(convolution(16, "quantized_conv\nscales = dynamic"));
  const std::int64_t batch = 96 * num_threads();
  ExecutorOptions of = options_of(Mode::kTraining, batch);
  EXPECT_EQ(slice_of(*conv, of), batch);
  of.mode = Mode::kInference;
  EXPECT_LT(slice_of(*conv, of), batch);
  EXPECT_EQ(slice_of(*quantized, of), batch);
  of.record_decisions = true;
  EXPECT_EQ(slice_of(*conv, of), batch);
}

}  // namespace
}  // namespace sluice
