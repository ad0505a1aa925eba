// Inference that skips gives what inference that computes everything gives, with all that is fused behind the layers.
#include <gtest/gtest.h>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/graph/dense_twin.hpp"
#include "core/graph/kernel_choice.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/model/trained_network.hpp"
#include "gating/density_sweep.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;

constexpr std::int64_t kImages = 5;

/// One block of a residual network whose convolutions have the given keys; then a strided one and a 1x1 one.
std::string network_text(const std::string& gate) {
  const std::string conv = "\ntype = cg_conv\nkernel = 3\npad = 1\n" + gate + "channels = ";
  return "[network]\ninput = 3x9x8\n"
         "[layer.stem]\ntype = conv\nkernel = 3\npad = 1\nchannels = 32\n"
         "[layer.bn0]\ntype = batchnorm\n[layer.relu0]\ntype = relu\n"
         "[layer.conv1]" +
         conv +
         "32\n[layer.bn1]\ntype = batchnorm\n[layer.relu1]\ntype = relu\n"
         "[layer.conv2]" +
         conv +
         "32\n[layer.bn2]\ntype = batchnorm\n"
         "[layer.add]\ntype = add\nfrom = bn2, relu0\n[layer.relu2]\ntype = relu\n"
         "[layer.conv3]" +
         conv +
         "64\nstride = 2\n[layer.bn3]\ntype = batchnorm\n[layer.relu3]\ntype = clip\nlow = 0\nhigh = 2\n"
         "[layer.point]\ntype = cg_conv\nkernel = 1\nchannels = 48\npartitions = 2\n"
         "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 10\n"
         "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";
}

/// A network whose running statistics are those of its own activations.
struct Trained {
  explicit Trained(const std::string& gate) : built(network_text(gate)) {
    Network& network = *built.network;
    network.initialise(5);
    Random random(9, Purpose::kTest);
    for (std::int64_t i = 0; i < network.input_shape(kImages).count(); ++i)
      images.push_back(static_cast<float>(random.normal()));
    labels.assign(kImages, 3);
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kImages;
    Executor executor(network, options);
    executor.refresh();
    executor.set_batch(images.data(), labels.data());
    for (int pass = 0; pass < 20; ++pass) executor.forward();
  }

  void run(Executor& executor) const {
    executor.refresh();
    executor.set_batch(images.data(), labels.data());
    executor.forward();
  }

  GatedNetwork built;
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};

ExecutorOptions inference(bool skip, Layout layout, DataType type = DataType::kF32) {
  ExecutorOptions options;
  options.batch = kImages;
  options.skip = skip;
  options.layout = layout;
  options.type = type;
  options.record_decisions = true;
  return options;
}

std::vector<float> logits_of(const Executor& executor) {
  const Tensor logits = executor.logits();
  return {logits.as<const float>(), logits.as<const float>() + logits.desc.count()};
}

std::int64_t different_decisions(const Network& network, const Executor& a, const Executor& b, std::int64_t& open) {
  std::int64_t different = 0;
  for (int node = 0; node < static_cast<int>(network.nodes().size()); ++node) {
    const float *of_a = a.decisions(node), *of_b = b.decisions(node);
    EXPECT_EQ(of_a == nullptr, of_b == nullptr);
    EXPECT_EQ(of_a == nullptr, network.nodes()[static_cast<std::size_t>(node)].type != "cg_conv");
    if (of_a == nullptr) continue;
    for (std::int64_t i = 0; i < network.nodes()[static_cast<std::size_t>(node)].declared.dst.count() * kImages; ++i) {
      different += of_a[i] != of_b[i] ? 1 : 0;
      open += of_b[i] == 1.0F ? 1 : 0;
    }
  }
  return different;
}

constexpr int kAlternatives = 5;  ///< at most

void choose_all(Executor& executor, int alternative) {
  const std::vector<OperationInfo> operations = executor.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const int count = static_cast<int>(operations[i].alternatives.size());
    if (count > 0) executor.choose(i, std::min(alternative, count - 1));
  }
}

class Backends : public ::testing::TestWithParam<const char*> {};

TEST_P(Backends, GiveTheSameDecisionsAndAnswers) {
  const Trained trained(GetParam());
  Network& network = *trained.built.network;
  for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
    Executor dense(network, inference(false, layout)), skip(network, inference(true, layout));
    trained.run(dense);
    for (int k = 0; k < kAlternatives; ++k) {
      choose_all(skip, k);
      skip.reset_statistics();
      trained.run(skip);
      std::int64_t open = 0;
      // A gate may lie within rounding of its threshold: few do, and what they change is small.
      const std::int64_t different = different_decisions(network, skip, dense, open);
      EXPECT_LE(different, 2);
      EXPECT_GT(open, 0);
      std::int64_t counted = 0;
      for (const char* layer : {"conv1", "conv2", "conv3", "point"}) counted += skip.counts(network.find(layer))[0];
      EXPECT_NEAR(static_cast<double>(counted), static_cast<double>(open), static_cast<double>(different));
      EXPECT_TRUE(is_close(to_array({kImages, 10}, logits_of(skip).data()),
                           to_array({kImages, 10}, logits_of(dense).data()), different == 0 ? 1e-5 : 1e-2));
    }
  }
}

TEST_P(Backends, AgreeInBf16UpToItsRounding) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this processor does not compute bf16";
  const Trained trained(GetParam());
  Executor dense(*trained.built.network, inference(false, Layout::kAuto, DataType::kBF16));
  Executor skip(*trained.built.network, inference(true, Layout::kAuto, DataType::kBF16));
  trained.run(dense);
  for (int k = 0; k < kAlternatives; ++k) {
    choose_all(skip, k);
    trained.run(skip);
    std::int64_t open = 0;
    const std::int64_t different = different_decisions(*trained.built.network, skip, dense, open);
    EXPECT_LE(different, open / 20);
    // A decision that all channels of a pixel share changes more than one that stands alone; so do those between two
    // norms in the last way, whose products are rounded once more.
    const std::string gate = GetParam();
    const bool rounds_twice = k + 1 == kAlternatives && gate == "two_norms = yes\n";
    const double bound = rounds_twice || gate.find("pixel") != std::string::npos ? 0.2 : 0.1;
    EXPECT_TRUE(is_close(to_array({kImages, 10}, logits_of(skip).data()),
                         to_array({kImages, 10}, logits_of(dense).data()), bound));
  }
}

/// Sums of int8 are exact, and so all ways give the same bits.
TEST_P(Backends, AgreeInInt8) {
  const Trained trained(GetParam());
  Network& network = *trained.built.network;
  Executor dense(network, inference(false, Layout::kNhwc));
  trained.run(dense);
  network.set_calibration({dense.largest_sources()});
  ExecutorOptions options = inference(true, Layout::kNhwc);
  options.int8 = true;
  Executor int8(network, options);
  for (const char* name : {"relu0", "relu1", "relu2", "relu3"})
    EXPECT_EQ(int8.result(network.find(name)).desc.type, DataType::kU8) << name;
  std::vector<float> first;
  for (int k = 0; k < kAlternatives - 1; ++k) {
    choose_all(int8, k);
    trained.run(int8);
    if (k == 0) first = logits_of(int8);
    EXPECT_EQ(logits_of(int8), first) << "way " << k;
  }
  std::int64_t open = 0;
  const std::int64_t different = different_decisions(network, int8, dense, open);
  EXPECT_LE(different, open / 20);
  EXPECT_TRUE(is_close(to_array({kImages, 10}, first.data()), to_array({kImages, 10}, logits_of(dense).data()), 0.2));
}

/// The first layer's base products may come from Winograd's kernels.
TEST(Backends, WinogradIsForThoseThatAllowIt) {
  if (cpu_isa() == Isa::kPortable) GTEST_SKIP() << "this processor has no such kernels";
  const Trained trained("own_chunk = yes\n");
  ExecutorOptions options = inference(true, Layout::kAuto);
  for (bool allowed : {true, false}) {
    options.winograd = allowed;
    const std::string kernel = Executor(*trained.built.network, options).operations()[1].kernel;
    EXPECT_EQ(kernel.find(":wino") != std::string::npos, allowed) << kernel;
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, Backends,
                         ::testing::Values("own_chunk = yes\n", "partitions = 2\n", "own_chunk = yes\nshuffle = yes\n",
                                           "granularity = slice\n", "granularity = pixel\nown_chunk = yes\n",
                                           "two_norms = yes\n", "two_norms = yes\ngranularity = slice\n"));

TEST(Backends, SkippingFusesWhatFollows) {
  const Trained trained("own_chunk = yes\n");
  Executor skip(*trained.built.network, inference(true, Layout::kAuto));
  std::vector<std::string> rows;
  for (const OperationInfo& operation : skip.operations()) {
    rows.push_back(operation.name);
    for (const std::string& fused : operation.fused) rows.back() += "+" + fused;
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"stem+bn0+relu0", "conv1+bn1+relu1", "conv2+bn2+add+relu2",
                                            "conv3+bn3+relu3", "point", "pool", "fc", "loss"}));
}

TEST(Backends, TheFastestAreChosenAndKept) {
  const Trained trained("own_chunk = yes\n");
  Network& network = *trained.built.network;
  Executor executor(network, inference(true, Layout::kAuto));
  const std::vector<TimedKernel> timed = choose_fastest(executor, 3, 1, [&] { trained.run(executor); });
  ASSERT_EQ(timed.size(), 4U);
  for (const TimedKernel& kernel : timed) {
    ASSERT_EQ(kernel.alternatives.size(), kernel.ms.size());
    for (const double ms : kernel.ms) {
      EXPECT_GT(ms, 0);
      EXPECT_GE(ms, kernel.ms[static_cast<std::size_t>(kernel.chosen)]);
    }
  }
  const std::vector<KernelChoice> choices = chosen_kernels(executor);
  ASSERT_EQ(choices.size(), 4U);
  EXPECT_EQ(choices[0], KernelChoice("conv1", timed[0].alternatives[static_cast<std::size_t>(timed[0].chosen)]));
  Executor other(network, inference(true, Layout::kAuto));
  choose_kernels(other, {{"conv1", "all"}, {"conv2", "no such way"}, {"nobody", "all"}});
  EXPECT_EQ(chosen_kernels(other)[0], KernelChoice("conv1", "all"));
  choose_kernels(other, choices);
  EXPECT_EQ(chosen_kernels(other), choices);
}

TEST(Backends, ATrainedNetworkRunsTheKernelsOfItsFile) {
  const std::string path = ::testing::TempDir() + "backends_test.h5";
  Registry registry;
  register_gated_types(registry);
  ConfiguredNetwork made(Config::parse(network_text("own_chunk = yes\n") + "[gating_loss]\n", "net.ini"), registry);
  made.network().initialise(5);
  Checkpoint checkpoint = untrained_checkpoint(made, {{0, 0, 0}, {1, 1, 1}});
  checkpoint.kernels = {{"conv1", "all"}, {"conv3", "lanes"}};
  save(checkpoint, path);
  const Checkpoint read = load(path);
  const TrainedNetwork trained(read,
                               std::make_shared<ConfiguredNetwork>(Config::stored(read.config, read.file), registry));
  const std::vector<KernelChoice> running = chosen_kernels(*trained.make_executor(2));
  ASSERT_EQ(running.size(), 4U);
  EXPECT_EQ(running[0], KernelChoice("conv1", "all"));
  EXPECT_EQ(running[1], KernelChoice("conv2", "dots"));
  EXPECT_EQ(running[2], KernelChoice("conv3", "lanes"));
  std::remove(path.c_str());
}

TEST(Backends, ASweepMovesDensitiesAndPutsThresholdsBack) {
  const Trained trained("own_chunk = yes\n");
  Network& network = *trained.built.network;
  const std::vector<float> before(network.parameter_data(), network.parameter_data() + network.parameter_count());
  Executor executor(network, inference(true, Layout::kAuto));
  const std::vector<KernelChoice> choices = chosen_kernels(executor);
  const std::vector<DensitySweep> sweeps = sweep_densities(network, executor, 1, [&] {
    executor.set_batch(trained.images.data(), trained.labels.data());
    executor.forward();
  });
  ASSERT_EQ(sweeps.size(), 4U);
  for (const DensitySweep& sweep : sweeps) {
    EXPECT_LT(sweep.points.front().density, 0.1) << sweep.layer;
    EXPECT_GT(sweep.points.back().density, 0.9) << sweep.layer;
  }
  EXPECT_EQ(std::vector<float>(network.parameter_data(), network.parameter_data() + network.parameter_count()), before);
  EXPECT_EQ(chosen_kernels(executor), choices);
}

TEST(DensitySweep, BreaksEvenWhereTheLineCrosses) {
  const DensitySweep sweep{"layer", {{0.0, 1.0}, {0.5, 2.0}, {1.0, 4.0}}};
  const DensityPoint now{0.5, 2.0};
  EXPECT_FALSE(sweep.break_even(4.0, now).has_value());
  EXPECT_DOUBLE_EQ(sweep.break_even(3.0, now).value_or(-1), 0.75);
  EXPECT_DOUBLE_EQ(sweep.break_even(2.0, now).value_or(-1), 0.5);
  EXPECT_DOUBLE_EQ(sweep.break_even(1.5, now).value_or(-1), 0.25);
  EXPECT_DOUBLE_EQ(sweep.break_even(0.5, now).value_or(-1), 0.0);
}

TEST(DensitySweep, AgreesWithWhatTheLayerTakesNow) {
  // The sweep says that the layer is slower than 2 ms from a density of a quarter on.
  const DensitySweep sweep{"layer", {{0.0, 1.0}, {0.5, 3.0}, {0.6, 1.5}, {0.75, 3.0}, {1.0, 4.0}}};
  const std::optional<double> faster = sweep.break_even(2.0, {0.5, 1.75}), slower = sweep.break_even(2.0, {0.5, 2.5});
  EXPECT_DOUBLE_EQ(faster.value_or(-1), 0.65) << "faster now: slower only above";
  EXPECT_DOUBLE_EQ(slower.value_or(-1), 1.0 / 3) << "slower now: slower already below";
}

}  // namespace
}  // namespace sluice
