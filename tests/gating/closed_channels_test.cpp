// Inference that leaves out closed channels gives what inference that computes everything gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/cpu.hpp"
#include "core/base/random.hpp"
#include "core/graph/executor.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kImages = 7;

/// Two residual blocks with gates behind their first convolutions; `second`: keys of the second one's first
/// convolution.
std::string network_text(const std::string& second) {
  const std::string conv = "\ntype = conv\nkernel = 3\npad = 1\nchannels = 32\n";
  const std::string gate = "type = channel_gate\ninit_scale = 1\nthreshold_init = 0\n";
  return "[network]\ninput = 3x9x10\n[layer.stem]" + conv +
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
  explicit Gated(const std::string& second) : built(network_text(second)) {
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
