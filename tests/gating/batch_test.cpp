// In evaluation an image's decisions and logits do not depend on its batch.
#include <gtest/gtest.h>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;

constexpr std::int64_t kImages = 7, kClasses = 10;
const char* const kText = R"([network]
input = 3x9x8
[layer.stem]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.relu1]
type = relu
[layer.elements]
type = cg_conv
channels = 32
kernel = 3
stride = 2
pad = 1
own_chunk = yes
shuffle = yes
[layer.bn2]
type = batchnorm
[layer.relu2]
type = relu
[layer.slices]
type = cg_conv
channels = 32
kernel = 3
pad = 1
granularity = slice
[layer.bn3]
type = batchnorm
[layer.relu3]
type = relu
[layer.pixels]
type = cg_conv
channels = 24
kernel = 1
granularity = pixel
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 10
)";

struct Outcome {
  std::vector<float> logits;
  std::vector<std::int64_t> open;  ///< by gated layer
};

class Batches : public ::testing::Test {
 protected:
  Batches() : built_(kText) {
    Network& network = *built_.network;
    network.initialise(5);
    Random random(9, Purpose::kTest);
    for (std::int64_t i = 0; i < network.input_shape(kImages).count(); ++i)
      images_.push_back(static_cast<float>(random.normal()));
    // Passes in training bring running statistics to where the activations are.
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kImages;
    Executor executor(network, options);
    executor.refresh();
    executor.set_batch(images_.data(), nullptr);
    for (int pass = 0; pass < 20; ++pass) executor.forward();
  }

  /// Runs images [first, first + options.batch).
  Outcome run(Executor& executor, std::int64_t first) const {
    const Network& network = *built_.network;
    executor.reset_statistics();
    executor.set_batch(images_.data() + network.input_shape(first).count(), nullptr);
    executor.forward();
    const float* const logits = executor.logits().as<const float>();
    Outcome outcome{{logits, logits + executor.options().batch * kClasses}, {}};
    for (const char* layer : {"elements", "slices", "pixels"})
      outcome.open.push_back(executor.counts(network.find(layer))[0]);
    return outcome;
  }

  Outcome one_by_one(ExecutorOptions options) const {
    options.batch = 1;
    Executor executor(*built_.network, options);
    executor.refresh();
    Outcome all{{}, {0, 0, 0}};
    for (std::int64_t n = 0; n < kImages; ++n) {
      const Outcome one = run(executor, n);
      all.logits.insert(all.logits.end(), one.logits.begin(), one.logits.end());
      for (std::size_t i = 0; i < 3; ++i) all.open[i] += one.open[i];
    }
    return all;
  }

  GatedNetwork built_;
  std::vector<float> images_;
};

// The bits are the same as well where kernels do not look at the batch; oneDNN's Winograd ones do.
TEST_F(Batches, AnImageIsWorthTheSameInAny) {
  for (const Layout layout : {Layout::kAuto, Layout::kNhwc, Layout::kBlocked}) {
    for (const DataType type : {DataType::kF32, DataType::kBF16}) {
      if (type == DataType::kBF16 && !cpu_has_bf16()) continue;
      SCOPED_TRACE(concat("layout ", static_cast<int>(layout), ", ", to_string(type)));
      ExecutorOptions options;
      options.layout = layout;
      options.type = type;
      options.batch = kImages;
      Executor executor(*built_.network, options);
      executor.refresh();
      const Outcome together = run(executor, 0), alone = one_by_one(options);
      EXPECT_EQ(together.open, alone.open);
      for (const std::int64_t open : together.open) EXPECT_GT(open, 0);
      EXPECT_TRUE(is_close(to_array({kImages, kClasses}, alone.logits.data()),
                           to_array({kImages, kClasses}, together.logits.data()), 1e-6));
    }
  }
}

}  // namespace
}  // namespace sluice
