// threshold_init = density:SHARE: thresholds that open so many gates of the first images.
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "gating/gate.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

TEST(ThresholdFor, OpensSoMany) {
  std::vector<float> values = {4, 1, 3, 2};
  EXPECT_EQ(threshold_for(values, 0.25), 3.5F);
  EXPECT_EQ(threshold_for(values, 0.5), 2.5F);
  EXPECT_LT(threshold_for(values, 1), 1);
  EXPECT_EQ(threshold_for(values, 0.01), 4);
}

/// Layers of 20 channels on 5 x 6 pixels, behind each other, whose gates are to be open to three quarters.
struct MeasuredCase {
  const char *name, *layers;
  std::vector<std::string> gates;
  double tolerance;
};

void PrintTo(const MeasuredCase& c, std::ostream* out) {
  *out << c.name;
}

class MeasuredThresholds : public ::testing::TestWithParam<MeasuredCase> {};

TEST_P(MeasuredThresholds, OpenAsManyAsWanted) {
  constexpr std::int64_t kBatch = 16;
  const GatedNetwork built(
      concat("[network]\ninput = 4x5x6\n[type.cg_conv]\nthreshold_init = density:0.75\n"
             "[type.pg_conv]\nthreshold_init = density:0.75\n[type.channel_gate]\n"
             "threshold_init = density:0.75\n",
             GetParam().layers,
             "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 2\n"
             "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n"));
  Network& network = *built.network;
  network.initialise(1);
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kBatch;
    options.layout = layout;
    Executor executor(network, options);
    std::vector<float> images(static_cast<std::size_t>(network.input_shape(kBatch).count()));
    Random random(3, Purpose::kTest);
    for (float& x : images) x = static_cast<float>(random.normal());
    const std::vector<std::int32_t> labels(kBatch, 0);
    executor.set_batch(images.data(), labels.data());
    executor.measure();
    executor.reset_statistics();
    executor.refresh();
    executor.forward();
    for (const std::string& gate : GetParam().gates) {
      const std::int64_t* const counts = executor.counts(network.find(gate));
      EXPECT_NEAR(static_cast<double>(counts[0]) / static_cast<double>(counts[1]), 0.75, GetParam().tolerance) << gate;
    }
  }
}

const char* const kElements =
    "[layer.a]\ntype = cg_conv\nchannels = 20\nkernel = 3\npad = 1\n[layer.relu]\ntype = relu\n"
    "[layer.b]\ntype = cg_conv\nchannels = 20\nkernel = 3\npad = 1\ntwo_norms = yes\n";
const char* const kSlices = "[layer.a]\ntype = cg_conv\nchannels = 20\nkernel = 3\npad = 1\ngranularity = slice\n";
const char* const kPixels = "[layer.a]\ntype = cg_conv\nchannels = 20\nkernel = 3\npad = 1\ngranularity = pixel\n";
const char* const kImages = "[layer.a]\ntype = cg_conv\nchannels = 20\nkernel = 3\npad = 1\ngranularity = channel\n";
const char* const kBits =
    "[layer.a]\ntype = pg_conv\nchannels = 20\nkernel = 3\npad = 1\nactivation_bits = 6\nprediction_bits = 3\n"
    "[layer.relu]\ntype = relu\n[layer.b]\ntype = pg_conv\nchannels = 20\nkernel = 3\npad = 1\nactivation_bits = 6\n";
const char* const kChannels =
    "[layer.conv]\ntype = conv\nchannels = 20\nkernel = 1\n[layer.gate]\ntype = channel_gate\nfrom = conv, data\n";

INSTANTIATE_TEST_SUITE_P(Gates, MeasuredThresholds,
                         ::testing::Values(MeasuredCase{"elements", kElements, {"a", "b"}, 0.003},
                                           MeasuredCase{"slices", kSlices, {"a"}, 0.003},
                                           MeasuredCase{"pixels", kPixels, {"a"}, 0.003},
                                           MeasuredCase{"images", kImages, {"a"}, 0.003},
                                           MeasuredCase{"bits", kBits, {"a", "b"}, 0.02},  // many are equal
                                           MeasuredCase{"channels", kChannels, {"gate.decision"}, 0.003}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sluice
