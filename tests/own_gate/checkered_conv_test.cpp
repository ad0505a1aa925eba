// Proves the plug-in: both ways of inference and training give the same, the gradients are those of differences (the
// decisions depend on nothing, so that the layer has plain ones), and decisions and counts are kept.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sluice/train.hpp>
#include <stdexcept>
#include <vector>

namespace {

using namespace sluice;

const std::int64_t kBatch = 2, kImage = 4, kOut = 16, kSide = 6, kClasses = 3;

struct Built {
  Built() {
    register_all(registry);
    Config config = Config::parse(
        concat("[plugins]\nload = " CHECKERED_CONV "\n[network]\ninput = ", kImage, "x", kSide, "x", kSide,
               "\n[layer.gated]\ntype = checkered_conv\nchannels = ", kOut,
               "\nkernel = 3\npad = 1\n[layer.relu]\ntype = relu\n[layer.flat]\ntype = flatten\n[layer.fc]\n"
               "type = linear\nfeatures = ",
               kClasses, "\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n"),
        "checkered.ini");
    load_plugins(config, registry);
    network = std::make_unique<Network>(config, registry);
    config.check();
    network->initialise(3);
    for (std::int64_t i = 0; i < kBatch * kImage * kSide * kSide; ++i)
      images.push_back(static_cast<float>(std::sin(12.9898 * static_cast<double>(i * i + 1))));
  }

  /// An executor that has run once.
  std::unique_ptr<Executor> run(ExecutorOptions options, int alternative = 0) {
    options.batch = kBatch;
    auto executor = std::make_unique<Executor>(*network, options);
    if (!executor->operations()[0].alternatives.empty()) executor->choose(0, alternative);
    executor->set_batch(images.data(), labels.data());
    executor->refresh();
    executor->forward();
    return executor;
  }

  Registry registry;
  std::unique_ptr<Network> network;
  std::vector<float> images;
  std::vector<std::int32_t> labels = {0, 2};
};

class CheckeredConv : public testing::Test {
 protected:
  CheckeredConv() { set_threads(1); }  // too small to share

  static ExecutorOptions training() {
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    return options;
  }
  static ExecutorOptions inference(bool skip) {
    ExecutorOptions options;
    options.mode = Mode::kInference;
    options.skip = skip;
    options.record_decisions = true;
    return options;
  }
  Built built_;
};

/// Written down plainly: the first output channel of the first image, before the activation.
TEST_F(CheckeredConv, ComputesWhatItsFormulasSay) {
  const auto executor = built_.run(training());
  const Tensor result = executor->result(built_.network->find("gated"));
  const float* const weight = built_.network->parameter_data() + built_.network->parameters()[0].offset;
  for (std::int64_t y = 0; y < kSide; ++y) {
    for (std::int64_t x = 0; x < kSide; ++x) {
      double sum = 0;
      for (std::int64_t i = 0; i < ((y + x) % 2 == 0 ? kImage : kImage / 2); ++i) {
        for (std::int64_t tap = 0; tap < 9; ++tap) {
          const std::int64_t sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
          if (sy < 0 || sx < 0 || sy >= kSide || sx >= kSide) continue;
          sum += static_cast<double>(weight[i * 9 + tap] *
                                     built_.images[static_cast<std::size_t>((sy * kSide + sx) * kImage + i)]);
        }
      }
      EXPECT_NEAR(result.as<const float>()[result.desc.offset(0, 0, y, x)], sum, 1e-5) << y << ", " << x;
    }
  }
}

TEST_F(CheckeredConv, AllWaysGiveTheSame) {
  const auto reference = built_.run(training());
  for (const bool skip : {true, false}) {
    for (const int alternative : {0, 1}) {
      const auto executor = built_.run(inference(skip), alternative);
      EXPECT_EQ(executor->operations()[0].alternatives.size(), skip ? 2U : 0U);
      EXPECT_EQ(executor->operations()[0].fused, std::vector<std::string>{"relu"});
      for (std::int64_t i = 0; i < kBatch * kClasses; ++i)
        EXPECT_NEAR(executor->logits().as<const float>()[i], reference->logits().as<const float>()[i], 1e-4);
    }
  }
}

TEST_F(CheckeredConv, CountsAndKeepsItsDecisions) {
  const int node = built_.network->find("gated");
  const std::int64_t all = kBatch * kOut * kSide * kSide;
  for (const int alternative : {0, 1}) {
    const auto executor = built_.run(inference(true), alternative);
    EXPECT_EQ(executor->counts(node)[0], all / 2);
    EXPECT_EQ(executor->counts(node)[1], all);
    const float* const decisions = executor->decisions(node);
    ASSERT_NE(decisions, nullptr);
    EXPECT_EQ(std::accumulate(decisions, decisions + all, 0.0F), static_cast<float>(all / 2));
  }
  EXPECT_EQ(built_.registry.dense_type("checkered_conv"), "conv");
}

TEST_F(CheckeredConv, HasTheGradientsOfDifferences) {
  const auto executor = built_.run(training());
  executor->backward();
  float* const weight = built_.network->parameter_data() + built_.network->parameters()[0].offset;
  const float* const gradient = executor->gradients() + built_.network->parameters()[0].offset;
  const std::vector<float> claimed(gradient, gradient + kOut * kImage * 9);
  const auto loss_with = [&](std::size_t i, float value) {
    weight[i] = value;
    executor->refresh();
    executor->forward();
    return executor->loss();
  };
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < claimed.size(); i += 7) {
    const float value = weight[i], step = 0.001F;
    const double expected = (loss_with(i, value + step) - loss_with(i, value - step)) / 0.002;
    weight[i] = value;
    largest = std::max(largest, std::abs(expected));
    worst = std::max(worst, std::abs(expected - static_cast<double>(claimed[i])));
  }
  EXPECT_GT(largest, 1e-3) << "nothing to compare";
  EXPECT_LT(worst, 0.03 * largest);
}

}  // namespace
