// Inference that leaves out closed channels gives what inference that computes everything gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/cpu.hpp"
#include "core/base/random.hpp"
#include "core/graph/executor.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr std::int64_t kImages = 7;

/// Two residual blocks with gates behind their first convolutions; `second`: keys of the second one's first
/// convolution; `filter`: of all others but the first.
std::string network_text(const std::string& second, const std::string& filter = "kernel = 3\npad = 1\n") {
  const std::string conv = "\ntype = conv\nchannels = 32\n" + filter;
  const std::string gate = "type = channel_gate\ninit_scale = 1\nthreshold_init = 0\n";
  return "[network]\ninput = 3x9x10\n[layer.stem]\ntype = conv\nchannels = 32\nkernel = 3\npad = 1\n"
         "[layer.relu0]\ntype = relu\n"
         "[layer.a.conv1]" +
         conv + "[layer.a.bn1]\ntype = batchnorm\n[layer.a.relu]\ntype = relu\n[layer.a.gate]\n" + gate +
         "from = a.relu, relu0\n[layer.a.conv2]" + conv +
         "[layer.a.bn2]\ntype = batchnorm\n[layer.a.add]\ntype = add\nfrom = a.bn2, relu0\n"
         "[layer.a.relu2]\ntype = relu\n"
         "[layer.b.conv1]" +
         conv + second + "[layer.b.relu]\ntype = relu\n[layer.b.gate]\n" + gate +
         "from = b.relu, a.relu2\n[layer.b.conv2]" + conv + "bias = yes\n[layer.pool]\ntype = global_pool\n" +
         "[layer.fc]\ntype = linear\nfeatures = 10\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";
}

/// A network and images.
struct Gated {
  explicit Gated(const std::string& second) : Gated(network_text(second), 0) {}
  Gated(const std::string& text, int) : built(text) {
    built.network->initialise(5);
    Random random(9, Purpose::kTest);
    for (std::int64_t i = 0; i < built.network->input_shape(kImages).count(); ++i)
      images.push_back(static_cast<float>(random.normal()));
    labels.assign(kImages, 3);
  }
  void shift_thresholds(float by) {
    for (const Parameter& p : built.network->parameters()) {
      for (std::int64_t i = 0; p.group == "threshold" && i < p.shape.count(); ++i)
        built.network->parameter_data()[p.offset + i] += by;
    }
  }
  std::vector<float> run(Executor& executor) const {
    executor.refresh();
    executor.set_batch(images.data(), labels.data());
    executor.reset_statistics();
    executor.forward();
    const Tensor logits = executor.logits();
    return {logits.as<const float>(), logits.as<const float>() + logits.desc.count()};
  }

  GatedNetwork built;
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};

ExecutorOptions inference(bool skip, Layout layout) {
  ExecutorOptions options;
  options.batch = kImages;
  options.skip = skip;
  options.layout = layout;
  options.record_decisions = true;
  return options;
}

std::vector<std::vector<std::int64_t>> counts_of(const Gated& gated, const Executor& executor) {
  std::vector<std::vector<std::int64_t>> counts;
  const auto& nodes = gated.built.network->nodes();
  for (std::size_t v = 0; v < nodes.size(); ++v) {
    const std::int64_t* const own = executor.counts(static_cast<int>(v));
    counts.emplace_back(own, own + nodes[v].declared.counts.size());
  }
  return counts;
}

/// "conv1+bn1+gate.scale: dense channels", one for each operation that has a choice.
std::vector<std::string> choices(const Executor& executor) {
  std::vector<std::string> lines;
  for (const OperationInfo& operation : executor.operations()) {
    if (operation.alternatives.empty()) continue;
    std::string line = operation.name;
    for (const std::string& name : operation.fused) line += "+" + name;
    line += ":";
    for (const std::string& name : operation.alternatives) line += " " + name;
    lines.push_back(line);
  }
  return lines;
}

void choose_all(Executor& executor, int alternative) {
  const std::vector<OperationInfo> operations = executor.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (!operations[i].alternatives.empty()) executor.choose(i, alternative);
  }
}

class ClosedChannels : public ::testing::TestWithParam<const char*> {};

TEST_P(ClosedChannels, GiveTheSameCountsAndAnswers) {
  Gated gated(GetParam());
  for (const float shift : {-9.0F, 0.0F, 0.2F, 18.0F}) {  // all open, some, few, none
    gated.shift_thresholds(shift);
    for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
      ExecutorOptions plain = inference(false, layout);
      plain.fuse = false;
      Executor dense(*gated.built.network, plain), skip(*gated.built.network, inference(true, layout));
      const std::vector<float> want = gated.run(dense);
      for (const int way : {0, 1}) {
        choose_all(skip, way);
        EXPECT_TRUE(
            is_close(to_array({kImages, 10}, gated.run(skip).data()), to_array({kImages, 10}, want.data()), 2e-5))
            << "way " << way << ", thresholds moved by " << shift;
        EXPECT_EQ(counts_of(gated, skip), counts_of(gated, dense)) << "way " << way;
      }
    }
    if (shift < 0) gated.shift_thresholds(-shift);
  }
}

INSTANTIATE_TEST_SUITE_P(Strides, ClosedChannels,
                         ::testing::Values("", "stride = 2\n", "dilation = 2\n", "groups = 2\n"));

TEST(ClosedChannels, HaveTheirWays) {
  const Gated gated("groups = 2\n");
  const Executor skip(*gated.built.network, inference(true, Layout::kAuto));
  EXPECT_THAT(choices(skip), ElementsAre("a.conv1+a.bn1+a.relu+a.gate.scale: dense channels",
                                         "a.conv2+a.bn2+a.add+a.relu2: dense channels", "b.conv2: dense channels"))
      << "a convolution in groups has one way";
  const Executor dense(*gated.built.network, inference(false, Layout::kAuto));
  EXPECT_THAT(choices(dense), IsEmpty());
}

TEST(ClosedChannels, TakeTheWayThatIsWanted) {
  const Gated gated("");
  ExecutorOptions options = inference(true, Layout::kAuto);
  const Executor both(*gated.built.network, options);
  options.kernels = {{"a.conv1", "channels"}, {"a.conv2", "dense"}};
  Executor one(*gated.built.network, options);
  EXPECT_THAT(choices(one), ElementsAre("b.conv1+b.relu+b.gate.scale: dense channels", "b.conv2: dense channels"));
  EXPECT_LT(one.kept_bytes(), both.kept_bytes());
  for (const OperationInfo& operation : one.operations()) {
    if (operation.name == "a.conv1") {
      EXPECT_EQ(operation.kernel, "open:" + to_string(cpu_isa()) + ":wino");
    }
    if (operation.name == "a.conv2") {
      EXPECT_EQ(operation.kernel.find("open:"), std::string::npos);
    }
  }
  Executor dense(*gated.built.network, inference(false, Layout::kAuto));
  EXPECT_TRUE(
      is_close(to_array({kImages, 10}, gated.run(one).data()), to_array({kImages, 10}, gated.run(dense).data()), 2e-5));
}

/// Of a network whose sources have been measured on the images.
ExecutorOptions in_int8(const Gated& gated) {
  ExecutorOptions options = inference(true, Layout::kNhwc);
  Executor floats(*gated.built.network, options);
  gated.run(floats);
  gated.built.network->set_calibration({floats.largest_sources()});
  options.int8 = true;
  return options;
}

/// Of the first operation that has a choice.
std::vector<std::string> first_ways(const Executor& executor) {
  for (const OperationInfo& operation : executor.operations()) {
    if (!operation.alternatives.empty()) return operation.alternatives;
  }
  return {};
}

class ClosedChannelsInInt8 : public ::testing::TestWithParam<const char*> {};

/// All convolutions by one way, where they have it. Images of int8 and what is computed in it may differ by a level
/// where sums are rounded otherwise.
TEST_P(ClosedChannelsInInt8, GiveTheSameByAllWays) {
  Gated gated(network_text("", GetParam()), 0);
  for (const float shift : {-9.0F, 0.0F, 18.0F}) {  // all open, some, none
    gated.shift_thresholds(shift);
    const ExecutorOptions options = in_int8(gated);
    const std::vector<std::string> there = first_ways(Executor(*gated.built.network, options));
    const auto run = [&](const std::string& way, std::vector<std::vector<std::int64_t>>& counts) {
      ExecutorOptions own = options;
      for (const char* layer : {"a.conv1", "a.conv2", "b.conv1", "b.conv2"}) own.kernels[layer] = way;
      Executor executor(*gated.built.network, own);
      const std::vector<float> answer = gated.run(executor);
      counts = counts_of(gated, executor);
      return to_array({kImages, 10}, answer.data());
    };
    std::vector<std::vector<std::int64_t>> want_counts, counts;
    for (const std::vector<std::string>& ways :
         {std::vector<std::string>{"fp32", "channels"}, {"int8", "int8-product", "int8-channels"}}) {
      const Array want = run(ways[0], want_counts);
      for (std::size_t w = 1; w < ways.size(); ++w) {
        if (std::find(there.begin(), there.end(), ways[w]) == there.end()) continue;
        EXPECT_TRUE(is_close(run(ways[w], counts), want, 0.02)) << ways[w] << ", thresholds moved by " << shift;
        EXPECT_EQ(counts, want_counts) << ways[w];
      }
      if (shift == 0) continue;  // where no decision is near its edge
      Executor dense(*gated.built.network, inference(false, Layout::kNhwc));
      EXPECT_TRUE(is_close(want, to_array({kImages, 10}, gated.run(dense).data()), 0.1)) << ways[0];
      EXPECT_EQ(counts_of(gated, dense), want_counts);
    }
    if (shift < 0) gated.shift_thresholds(-shift);
  }
}

TEST_P(ClosedChannelsInInt8, HaveTheirWays) {
  const Gated gated(network_text("", GetParam()), 0);
  const Executor int8(*gated.built.network, in_int8(gated));
  std::vector<std::string> names;
  for (const OperationInfo& operation : int8.operations()) {
    if (operation.alternatives.empty()) continue;
    names.push_back(operation.name);
    EXPECT_EQ(operation.alternatives.front(), "fp32");
    EXPECT_THAT(operation.alternatives, IsSupersetOf({"int8", "channels", "int8-channels"})) << operation.name;
  }
  EXPECT_THAT(names, ElementsAre("a.conv1", "a.conv2", "b.conv1", "b.conv2"));
  EXPECT_EQ(int8.result(gated.built.network->find("a.gate.scale")).desc.type, DataType::kF32)
      << "what is multiplied by decisions goes in floats";
}

INSTANTIATE_TEST_SUITE_P(Filters, ClosedChannelsInInt8, ::testing::Values("kernel = 3\npad = 1\n", "kernel = 1\n"));

/// Behind the product with decisions nothing is done on the way out.
TEST(ClosedChannels, AreTheLastThingThatIsFused) {
  const GatedNetwork built(
      "[network]\ninput = 3x8x8\n"
      "[layer.a]\ntype = conv\nchannels = 16\nkernel = 3\npad = 1\n"
      "[layer.gate]\ntype = channel_gate\nfrom = a, data\n[layer.relu]\ntype = relu\n"
      "[layer.b]\ntype = conv\nchannels = 16\nkernel = 3\npad = 1\n"
      "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 2\n");
  const Executor skip(*built.network, inference(true, Layout::kAuto));
  EXPECT_THAT(choices(skip), ElementsAre("b: dense channels")) << "the first convolution reads three channels";
  std::vector<std::string> lines;
  for (const OperationInfo& operation : skip.operations()) lines.push_back(operation.name);
  EXPECT_THAT(lines, ElementsAre("gate.pool", "gate.saliency", "gate.decision", "a", "relu", "b", "pool", "fc"));
}

}  // namespace
}  // namespace sluice
