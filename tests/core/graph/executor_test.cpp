// Executors: repeatable to the bit, independent of each other and of what ran before, and they learn.
#include "core/graph/executor.hpp"

#include <gtest/gtest.h>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/train/experiment.hpp"
#include "core/train/optimizer.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kClasses = 5;

Optimizer make_sgd(const Network& network) {
  OptimizerOptions options;
  options.momentum = 0.9;
  return Optimizer(options, parameter_ranges(network), network.parameter_count());
}

/// A few steps of SGD on one batch; returns the losses.
std::vector<double> train(Network& network, const ExecutorOptions& options, int steps, double lr) {
  Executor executor(network, options);
  const Batch batch(network, options.batch, kClasses, 4);
  batch.give(executor);
  Optimizer sgd = make_sgd(network);
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    run_step(executor, static_cast<std::uint64_t>(step));
    losses.push_back(executor.loss());
    sgd.step(network.parameter_data(), executor.gradients(), lr);
  }
  return losses;
}

TEST(Executor, SameSeedSameBits) {
  for (const bool dropout : {false, true}) {
    const Built a(residual_ini(dropout)), b(residual_ini(dropout));
    const ExecutorOptions options = options_of(Mode::kTraining, 6);
    EXPECT_EQ(train(*a, options, 5, 0.1), train(*b, options, 5, 0.1));
    EXPECT_TRUE(same_bits(parameters_of(*a), parameters_of(*b)));
    EXPECT_TRUE(same_bits(buffers_of(*a), buffers_of(*b)));
  }
}

TEST(Executor, DropoutDependsOnSeedAndStepAlone) {
  const Built net(residual_ini(true));
  const auto loss_with = [&](std::uint64_t seed, std::uint64_t step, bool fuse) {
    ExecutorOptions options = options_of(Mode::kTraining, 6);
    options.seed = seed;
    options.fuse = fuse;
    Executor executor(*net, options);
    Batch(*net, 6, kClasses, 4).give(executor);
    run_step(executor, step);
    return executor.loss();
  };
  EXPECT_EQ(loss_with(1, 0, true), loss_with(1, 0, true));
  EXPECT_NE(loss_with(1, 0, true), loss_with(2, 0, true));
  EXPECT_NE(loss_with(1, 0, true), loss_with(1, 1, true));
  EXPECT_NEAR(loss_with(1, 3, true), loss_with(1, 3, false), 1e-5) << "fusing must not change the random numbers";
}

TEST(Executor, OverfitsOneBatch) {
  for (const DataType type : {DataType::kF32, DataType::kBF16}) {
    if (type == DataType::kBF16 && !cpu_has_bf16()) continue;
    const Built net(residual_ini());
    ExecutorOptions options = options_of(Mode::kTraining, 8);
    options.type = type;
    const std::vector<double> losses = train(*net, options, 60, 0.05);
    EXPECT_GT(losses.front(), 1.0);
    EXPECT_LT(losses.back(), 0.01) << to_string(type);
  }
}

TEST(Executor, AStepDoesNotDependOnWhatRanBefore) {
  const Built net(residual_ini());
  const std::vector<float> buffers = buffers_of(*net);
  const auto step_after = [&](int others) {
    Executor executor(*net, options_of(Mode::kTraining, 6));
    for (int i = 0; i < others; ++i) {
      Batch(*net, 6, kClasses, 50 + static_cast<std::uint64_t>(i)).give(executor);
      run_step(executor, 9);
    }
    std::copy(buffers.begin(), buffers.end(), net->buffer_data());
    Batch(*net, 6, kClasses, 4).give(executor);
    run_step(executor);
    std::vector<float> all = gradients_of(executor, *net);
    for (const std::vector<float>& more : {logits_of(executor), buffers_of(*net)})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const std::vector<float> fresh = step_after(0);
  EXPECT_TRUE(same_bits(fresh, step_after(1)));
  EXPECT_TRUE(same_bits(fresh, step_after(3)));
}

TEST(Executor, NetworksAndExecutorsDoNotDisturbEachOther) {
  const Built a(residual_ini()), b(residual_ini(), 2);
  const Batch batch(*a, 4, kClasses, 4);
  Executor alone(*a, options_of(Mode::kInference, 4));
  batch.give(alone);
  run_step(alone);
  const std::vector<float> expected = logits_of(alone);

  Executor first(*a, options_of(Mode::kInference, 4)), second(*b, options_of(Mode::kInference, 4)),
      training(*b, options_of(Mode::kTraining, 4));
  batch.give(first);
  batch.give(second);
  batch.give(training);
  first.refresh();
  run_step(training);
  run_step(second);
  first.forward();
  EXPECT_TRUE(same_bits(logits_of(first), expected));
  EXPECT_FALSE(same_bits(logits_of(second), expected));
}

/// Inference on the same parameters with and without folding, in both layouts.
TEST(Executor, FoldedInferenceIsTheTrainedNetwork) {
  const Built net(residual_ini());
  train(*net, options_of(Mode::kTraining, 8), 5, 0.05);
  const Batch batch(*net, 8, kClasses, 77);
  std::vector<std::vector<float>> answers;
  using Layout = ExecutorOptions::LayoutChoice;
  for (const bool fuse : {true, false}) {
    for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
      ExecutorOptions options = options_of(Mode::kInference, 8);
      options.fuse = fuse;
      options.layout = layout;
      Executor executor(*net, options);
      batch.give(executor);
      run_step(executor);
      answers.push_back(logits_of(executor));
      const std::size_t operations = executor.operations().size();
      EXPECT_EQ(operations < net->nodes().size(), fuse) << operations << " operations";
    }
  }
  for (const std::vector<float>& answer : answers) EXPECT_LT(relative_difference(answer, answers[0]), 1e-5);
}

/// With running statistics equal to a batch's, evaluation of that batch gives what training computed.
TEST(Executor, InferenceEqualsTrainingOnTheSameStatistics) {
  const std::string ini =
      "[network]\ninput = 3x8x6\n[layer.conv]\ntype = conv\nchannels = 7\nkernel = 3\n[layer.bn]\ntype = batchnorm\n"
      "momentum = 1\neps = 0.001\n[layer.relu]\ntype = relu\n[layer.fc]\ntype = linear\nfeatures = 5\n"
      "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";
  const Built net(ini);
  const std::int64_t n = 16, per_channel = n * 6 * 4;
  const Batch batch(*net, n, kClasses, 4);
  Executor training(*net, options_of(Mode::kTraining, n));
  batch.give(training);
  run_step(training);
  // The running variance is the unbiased one; the batch was normalised with the other.
  const StateBuffer& variance = net->buffers().back();
  ASSERT_EQ(variance.name, "running_var");
  for (std::int64_t c = 0; c < variance.shape.count(); ++c)
    net->buffer_data()[variance.offset + c] *= static_cast<float>(per_channel - 1) / static_cast<float>(per_channel);
  Executor inference(*net, options_of(Mode::kInference, n));
  batch.give(inference);
  run_step(inference);
  EXPECT_LT(relative_difference(logits_of(training), logits_of(inference)), 1e-5);
}

TEST(Executor, BatchSizesShareANetwork) {
  const Built net(residual_ini());
  const Batch batch(*net, 7, kClasses, 4);
  Executor whole(*net, options_of(Mode::kInference, 7)), part(*net, options_of(Mode::kInference, 3)),
      one(*net, options_of(Mode::kInference, 1));
  batch.give(whole);
  run_step(whole);
  const std::vector<float> all = logits_of(whole);
  const std::int64_t image = net->input_shape(1).count();
  part.set_batch(batch.data.data() + 2 * image, batch.labels.data() + 2);
  run_step(part);
  EXPECT_LT(relative_difference(copy_of(all.data() + 2 * kClasses, 3 * kClasses), logits_of(part)), 1e-5);
  one.set_batch(batch.data.data() + 6 * image, nullptr);
  run_step(one);
  EXPECT_LT(relative_difference(copy_of(all.data() + 6 * kClasses, kClasses), logits_of(one)), 1e-5);
}

TEST(Executor, CountsCorrectAnswersOverBatches) {
  const Built net(residual_ini());
  Executor executor(*net, options_of(Mode::kInference, 4));
  const int loss = net->find("loss");
  std::int64_t correct = 0;
  double sum = 0;
  for (std::uint64_t b = 0; b < 3; ++b) {
    const Batch batch(*net, 4, kClasses, b);
    batch.give(executor);
    run_step(executor);
    const std::vector<float> logits = logits_of(executor);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(i * kClasses);
      correct += std::max_element(begin, begin + kClasses) - begin == batch.labels[i] ? 1 : 0;
    }
    sum += 4 * executor.loss();
  }
  EXPECT_EQ(executor.counts(loss)[0], 12);
  EXPECT_EQ(executor.counts(loss)[1], correct);
  EXPECT_NEAR(executor.sums(loss)[0], sum, 1e-4);
  executor.reset_statistics();
  EXPECT_EQ(executor.counts(loss)[0], 0);
  EXPECT_EQ(executor.sums(loss)[0], 0);
}

TEST(Executor, RefreshTakesOverNewParameters) {
  const Built net(residual_ini());
  const Batch batch(*net, 4, kClasses, 4);
  Executor executor(*net, options_of(Mode::kInference, 4));
  batch.give(executor);
  run_step(executor);
  const std::vector<float> before = logits_of(executor);
  net->initialise(3);
  run_step(executor);
  Executor fresh(*net, options_of(Mode::kInference, 4));
  batch.give(fresh);
  run_step(fresh);
  EXPECT_TRUE(same_bits(logits_of(executor), logits_of(fresh)));
  EXPECT_FALSE(same_bits(logits_of(executor), before));
}

TEST(Executor, InferenceNeedsLessMemoryThanTraining) {
  const Built net(residual_ini());
  const Executor training(*net, options_of(Mode::kTraining, 8)), inference(*net, options_of(Mode::kInference, 8));
  EXPECT_LT(inference.activation_bytes(), training.activation_bytes() / 2);
}

// Also of weights that two layers share: they are final when both are done.
TEST(Executor, SaysWhichGradientsAreFinal) {
  std::string shared = residual_ini();
  shared.replace(shared.find("[layer.conv2]"), 13, "[layer.conv2]\nshare = conv1");
  for (const std::string& ini : {residual_ini(), shared}) {
    const Built net(ini);
    Executor executor(*net, options_of(Mode::kTraining, 4));
    Batch(*net, 4, kClasses, 4).give(executor);
    run_step(executor);
    const std::vector<float> expected = gradients_of(executor, *net);
    std::vector<float> found(expected.size());
    std::int64_t end = net->parameter_count();
    int early = 0;
    executor.forward();  // once before each backward
    executor.backward([&](std::int64_t first) {
      ASSERT_TRUE(first >= 0 && first <= end);
      early += first > 0 && first < end ? 1 : 0;
      for (; end > first; --end) {
        found[static_cast<std::size_t>(end - 1)] = executor.gradients()[end - 1];
        executor.gradients()[end - 1] = 7;  // theirs who were told
      }
    });
    EXPECT_EQ(end, 0);
    EXPECT_GT(early, 3);
    EXPECT_TRUE(same_bits(found, expected));
    EXPECT_TRUE(same_bits(gradients_of(executor, *net), std::vector<float>(expected.size(), 7)));
  }
}

TEST(Executor, FindsTheFirstLayerThatIsNotFinite) {
  const Built net(residual_ini());
  Executor executor(*net, options_of(Mode::kTraining, 4));
  Batch(*net, 4, kClasses, 4).give(executor);
  executor.refresh();
  EXPECT_EQ(executor.find_non_finite(0), "");
  for (const Parameter& p : net->parameters()) {
    if (p.path() == "conv2/weight") net->parameter_data()[p.offset] = std::numeric_limits<float>::quiet_NaN();
  }
  executor.refresh();
  EXPECT_EQ(executor.find_non_finite(0), "conv2");
}

TEST(Executor, RefusesBFloat16WhereItIsNotNative) {
  if (cpu_has_bf16()) GTEST_SKIP() << "this processor has native bf16";
  const Built net(residual_ini());
  ExecutorOptions options = options_of(Mode::kTraining, 4);
  options.type = DataType::kBF16;
  try {
    const Executor executor(*net, options);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kEnvironment);
    EXPECT_EQ(std::string(e.what()), concat("run.precision = bf16 needs a processor with AVX512_BF16, this one is ",
                                            cpu_description(), "; use run.precision = fp32"));
  }
}

}  // namespace
}  // namespace sluice
