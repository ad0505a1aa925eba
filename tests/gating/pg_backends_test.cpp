// Precision gating that skips gives the bits of precision gating that computes everything, with all that is fused
// behind the layers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;

const char* const kText = R"([network]
input = 3x9x8
[layer.stem]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn0]
type = batchnorm
[layer.relu0]
type = pact_relu
[layer.conv1]
type = pg_conv
channels = 16
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.relu1]
type = pact_relu
[layer.conv2]
type = pg_conv
channels = 16
kernel = 3
pad = 1
weight_levels = signed
[layer.bn2]
type = batchnorm
[layer.add]
type = add
from = bn2, relu0
[layer.relu2]
type = relu
[layer.strided]
type = pg_conv
channels = 32
kernel = 3
stride = 2
activation_bits = 5
[layer.bn3]
type = batchnorm
[layer.relu3]
type = clip
low = 0
high = 2
[layer.uniform]
type = quantized_conv
channels = 32
kernel = 3
pad = 1
activation_bits = 4
bias = yes
[layer.relu4]
type = pact_relu
[layer.signed]
type = quantized_conv
channels = 32
kernel = 3
pad = 1
activation_bits = 3
weight_levels = signed
[layer.bn4]
type = batchnorm
[layer.add2]
type = add
from = bn4, relu3
[layer.relu5]
type = pact_relu
share = relu4
[layer.slices]
type = pg_conv
channels = 32
kernel = 1
granularity = slice
[layer.pixels]
type = pg_conv
channels = 20
kernel = 1
weight_bits = 4
granularity = pixel
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 10
)";
const char* const kGated[] = {"conv1", "conv2", "strided", "slices", "pixels"};
constexpr std::int64_t kImages = 6;

struct Outcome {
  std::vector<float> logits, decisions;
  std::vector<std::int64_t> open;
};

class PgBackends : public ::testing::Test {
 protected:
  PgBackends() : built_(kText) {
    Network& network = *built_.network;
    network.initialise(5);
    Random random(9, Purpose::kTest);
    for (std::int64_t i = 0; i < network.input_shape(kImages).count(); ++i)
      images_.push_back(static_cast<float>(random.normal()));
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kImages;
    Executor executor(network, options);
    executor.refresh();
    executor.set_batch(images_.data(), nullptr);
    for (int pass = 0; pass < 10; ++pass) executor.forward();
  }

  static ExecutorOptions options(bool skip, Layout layout, std::int64_t batch) {
    ExecutorOptions options;
    options.batch = batch;
    options.skip = skip;
    options.layout = layout;
    options.record_decisions = true;
    options.winograd = false;  // its bits depend on the batch
    return options;
  }

  /// All images in the executor's batches, every layer in its way number `way`, or its last one.
  Outcome run(Executor& executor, std::size_t way = 0) {
    const std::vector<OperationInfo> operations = executor.operations();
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const std::size_t count = operations[i].alternatives.size();
      if (count > 0) executor.choose(i, static_cast<int>(std::min(way, count - 1)));
    }
    Network& network = *built_.network;
    const std::int64_t batch = executor.options().batch;
    executor.refresh();
    executor.reset_statistics();
    Outcome all;
    for (std::int64_t first = 0; first < kImages; first += batch) {
      executor.set_batch(images_.data() + first * network.input_shape(1).count(), nullptr);
      executor.forward();
      const float* const logits = executor.logits().as<const float>();
      all.logits.insert(all.logits.end(), logits, logits + batch * 10);
      for (const char* layer : kGated) {
        const int node = network.find(layer);
        const float* const decisions = executor.decisions(node);
        const std::int64_t count = network.nodes()[static_cast<std::size_t>(node)].declared.dst.count() * batch;
        all.decisions.insert(all.decisions.end(), decisions, decisions + count);
      }
    }
    for (const char* layer : kGated) all.open.push_back(executor.counts(network.find(layer))[0]);
    return all;
  }

  void expect_same_bits(Layout layout, std::int64_t batch) {
    SCOPED_TRACE(concat("layout ", static_cast<int>(layout), ", batch ", batch));
    Executor dense(*built_.network, options(false, layout, batch)), skip(*built_.network, options(true, layout, batch));
    const Outcome all = run(dense);
    for (const std::int64_t open : all.open) EXPECT_GT(open, 0);
    for (std::size_t way = 0; way < 6; ++way) {
      const Outcome own = run(skip, way);
      EXPECT_EQ(own.logits, all.logits) << "way " << way;
      EXPECT_EQ(own.decisions, all.decisions) << "way " << way;
      EXPECT_EQ(own.open, all.open) << "way " << way;
    }
  }

  GatedNetwork built_;
  std::vector<float> images_;
};

TEST_F(PgBackends, GiveTheSameBits) {
  for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
    for (const std::int64_t batch : {1, 3, 6}) expect_same_bits(layout, batch);
  }
}

TEST_F(PgBackends, WithDynamicScalesToo) {
  for (const StateBuffer& b : built_.network->buffers()) {
    if (b.name == "src_scale") built_.network->buffer_data()[b.offset] = 0;
  }
  expect_same_bits(Layout::kNhwc, kImages);
}

/// Filters of one pixel and strides have nothing to transform.
std::vector<std::string> ways_of(const OperationInfo& operation) {
  if (operation.type == "quantized_conv") return {"direct", "winograd"};
  if (operation.type != "pg_conv") return {};
  if (operation.name == "slices" || operation.name == "pixels") return {"lanes", "all"};
  if (operation.name == "strided") return {"dots", "hybrid", "lanes", "all"};
  return {"dots", "hybrid", "lanes", "all", "winograd-dots", "winograd"};
}

TEST_F(PgBackends, FuseWhatFollows) {
  for (bool skips : {true, false}) {
    Executor executor(*built_.network, options(skips, Layout::kNhwc, kImages));
    std::vector<std::string> rows;
    for (const OperationInfo& operation : executor.operations()) {
      rows.push_back(operation.name);
      for (const std::string& fused : operation.fused) rows.back() += "+" + fused;
      EXPECT_EQ(operation.alternatives, skips ? ways_of(operation) : std::vector<std::string>{}) << operation.name;
      if (operation.type != "pg_conv") continue;
      EXPECT_EQ(operation.kernel.rfind("skip:", 0) == 0, skips) << operation.kernel;
    }
    EXPECT_EQ(rows, (std::vector<std::string>{"stem+bn0", "relu0", "conv1+bn1+relu1", "conv2+bn2+add+relu2",
                                              "strided+bn3+relu3", "uniform+relu4", "signed+bn4+add2+relu5", "slices",
                                              "pixels", "pool", "fc"}));
  }
}

/// Levels lie in bytes between the layers where nobody else reads the numbers.
TEST_F(PgBackends, KeepLevelsInBytes) {
  const auto in_bytes = [&](const ExecutorOptions& options) {
    const Executor executor(*built_.network, options);
    std::string names;
    for (const char* name : {"relu0", "relu1", "relu2", "relu3", "relu4", "relu5", "slices"}) {
      const Tensor result = executor.result(built_.network->find(name));
      if (result.desc.type == DataType::kU8) names += std::string(name) + " ";
    }
    return names;
  };
  EXPECT_EQ(in_bytes(options(true, Layout::kNhwc, 2)), "relu1 relu2 relu4 relu5 ")
      << "relu0 and relu3 are added as well, slices may be below 0";
  EXPECT_EQ(in_bytes(options(false, Layout::kNhwc, 2)), "");
  for (const StateBuffer& b : built_.network->buffers()) {
    if (b.path() == "signed/src_scale") built_.network->buffer_data()[b.offset] = 0;
  }
  EXPECT_EQ(in_bytes(options(true, Layout::kNhwc, 2)), "relu1 relu2 relu5 ") << "its scale is that of each batch";
}

/// What is no number comes out as such, of its own image alone.
TEST_F(PgBackends, HandOnWhatIsNoNumber) {
  Executor skip(*built_.network, options(true, Layout::kNhwc, kImages));
  const std::vector<float> before = run(skip).logits;
  images_[5] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> after = run(skip).logits;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const bool own = i < after.size() / kImages;
    EXPECT_TRUE(own ? std::isnan(after[i]) : after[i] == before[i]) << i << ": " << after[i];
  }
}

/// Scales change while an executor stands, as they do in training.
TEST_F(PgBackends, FollowTheScales) {
  Executor dense(*built_.network, options(false, Layout::kNhwc, 3)),
      skip(*built_.network, options(true, Layout::kNhwc, 3));
  const std::vector<float> before = run(skip).logits;
  for (const StateBuffer& b : built_.network->buffers()) {
    if (b.name == "src_scale") built_.network->buffer_data()[b.offset] *= 0.7F;
  }
  for (const Parameter& p : built_.network->parameters()) {
    if (p.name == "upper_bound") built_.network->parameter_data()[p.offset] = 0.9F;
  }
  const std::vector<float> after = run(skip).logits;
  EXPECT_NE(after, before);
  EXPECT_EQ(after, run(dense).logits);
}

/// Floating-point weights, groups, and more levels than sums are exact for, are computed everywhere.
TEST(PgConv, SkipsWhereItCountsInLevels) {
  const auto kernel = [](const std::string& keys) {
    const GatedNetwork built("[network]\ninput = 16x6x5\n[layer.pg]\ntype = pg_conv\nchannels = 16\nkernel = 3\n" +
                             keys);
    built.network->initialise(1);
    return Executor(*built.network, {}).operations()[0].kernel.substr(0, 5);
  };
  EXPECT_EQ(kernel(""), "skip:");
  EXPECT_EQ(kernel("weight_bits = 1\n"), "skip:");
  EXPECT_EQ(kernel("activation_bits = 8\n"), "skip:");
  EXPECT_NE(kernel("activation_bits = 10\n"), "skip:");
  EXPECT_NE(kernel("weight_bits = 0\n"), "skip:");
  EXPECT_NE(kernel("groups = 4\n"), "skip:");
}

}  // namespace
}  // namespace sluice
