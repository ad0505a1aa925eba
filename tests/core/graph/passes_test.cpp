// Each pass of a plan, on a small graph.
#include "core/graph/passes/passes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/graph/networks.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A residual block: two users of relu0, a chain that fuses, and a loss.
constexpr const char* kBlock = R"([network]
input = 3x6x6
[layer.conv0]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.relu0]
type = relu
[layer.conv1]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.add]
type = add
from = bn1, relu0
[layer.relu1]
type = relu
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 5
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

/// "conv1+bn1+add", one name for each operation.
std::vector<std::string> names(const ExecutionPlan& plan) {
  std::vector<std::string> all;
  for (const PlannedOperation& op : plan.operations) {
    std::string name;
    for (int node : op.nodes) name += (name.empty() ? "" : "+") + plan.node(node).name;
    all.push_back(name);
  }
  return all;
}

const PlannedOperation& operation(const ExecutionPlan& plan, const std::string& first) {
  return *std::find_if(plan.operations.begin(), plan.operations.end(),
                       [&](const PlannedOperation& op) { return plan.own_node(op).name == first; });
}

class Passes : public ::testing::Test {
 protected:
  static constexpr std::int64_t kImages = 2;

  ExecutionPlan listed(Mode mode) { return list_operations(*built_, options_of(mode, kImages)); }
  ExecutionPlan with_tensors(Mode mode) { return make_tensors(choose_layout(fuse(listed(mode)))); }
  ExecutionPlan with_operations(Mode mode) { return make_operations(plan_gradients(with_tensors(mode))); }

  Built built_{kBlock};
};

TEST_F(Passes, ListOperationsHasOneForEveryNode) {
  const ExecutionPlan plan = listed(Mode::kInference);
  EXPECT_THAT(names(plan), ElementsAre("conv0", "relu0", "conv1", "bn1", "add", "relu1", "pool", "fc", "loss"));
  EXPECT_EQ(plan.shape_of(0), (Shape{kImages, 16, 6, 6})) << "for the batch";
  EXPECT_EQ(plan.shape_of(kLabelsSource), Shape{kImages});
  EXPECT_EQ(plan.operations[0].layer, built_->nodes()[0].layer.get()) << "the node's own layer, not another one";
}

TEST_F(Passes, FusePutsChainsTogether) {
  const ExecutionPlan inference = fuse(listed(Mode::kInference));
  EXPECT_THAT(names(inference), ElementsAre("conv0+relu0", "conv1+bn1+add+relu1", "pool", "fc", "loss"));
  const PlannedOperation& conv1 = operation(inference, "conv1");
  ASSERT_EQ(conv1.post_ops.size(), 3U);
  EXPECT_EQ(conv1.post_ops[0].kind, PostOp::Kind::kAffine);
  EXPECT_EQ(conv1.addend_source, NodeResult(built_->find("relu0")));
  EXPECT_THAT(names(fuse(listed(Mode::kTraining))),
              ElementsAre("conv0", "relu0", "conv1", "bn1+add+relu1", "pool", "fc", "loss"));
}

TEST_F(Passes, FuseLeavesWhatHasTwoUsers) {
  const ExecutionPlan plan = fuse(listed(Mode::kInference));
  for (const PlannedOperation& op : plan.operations) {
    for (std::size_t f = 0; f + 1 < op.nodes.size(); ++f)
      EXPECT_NE(plan.node(op.nodes[f]).name, "relu0") << "its result is read by two";
  }
}

TEST_F(Passes, ChooseLayoutBlocksAsAsked) {
  ExecutionPlan plan = listed(Mode::kInference);
  plan.options.layout = ExecutorOptions::LayoutChoice::kBlocked;
  EXPECT_TRUE(choose_layout(std::move(plan)).blocked);
  plan = listed(Mode::kInference);
  plan.options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  EXPECT_FALSE(choose_layout(std::move(plan)).blocked);
  const Built odd("[network]\ninput = 3x6x6\n[layer.conv]\ntype = conv\nchannels = 10\nkernel = 3\n");
  EXPECT_FALSE(choose_layout(list_operations(*odd, options_of(Mode::kInference, 1))).blocked)
      << "10 channels are no whole block";
}

TEST_F(Passes, MakeTensorsGivesEachResultOne) {
  ExecutionPlan plan = fuse(listed(Mode::kInference));
  plan.options.type = DataType::kBF16;
  plan = make_tensors(std::move(plan));
  const auto type_of = [&](const std::string& name) {
    return plan.tensor(plan.tensor_of(built_->find(name))).desc.type;
  };
  EXPECT_EQ(type_of("relu0"), DataType::kBF16);
  EXPECT_EQ(type_of("fc"), DataType::kF32) << "as it declares";
  EXPECT_EQ(plan.tensor_of(built_->find("bn1")), -1) << "fused away";
  const PlannedOperation& conv1 = operation(plan, "conv1");
  EXPECT_EQ(conv1.src, std::vector<int>{plan.tensor_of(built_->find("relu0"))});
  EXPECT_EQ(conv1.addend, conv1.src[0]);
  EXPECT_EQ(plan.tensor(plan.tensor_of(kLabelsSource)).desc.type, DataType::kS32);
}

/// A convolution that multiplies int8.
class Int8Layer : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src[0];
    declare.nonnegative = true;
  }
  Int8Wish int8_wish(bool) const override { return Int8Wish::kMultiplies; }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return nullptr; }
};

TEST(Int8Pass, ChooseInt8TakesResultsThatAllTake) {
  Registry registry;
  register_layers(registry);
  registry.add_layer("int8_layer", "multiplies int8", [](Keys&) { return std::make_unique<Int8Layer>(); });
  Config config = Config::parse(
      "[network]\ninput = 4x4x4\n[layer.a]\ntype = int8_layer\n[layer.b]\ntype = int8_layer\n[layer.max]\ntype = "
      "max_pool\nkernel = 2\n[layer.c]\ntype = int8_layer\n[layer.pool]\ntype = global_pool\n",
      "int8.ini");
  Network network(config, registry);
  config.check();
  network.set_calibration({{{"b", 12.7}, {"max", 1}, {"c", 2}, {"pool", 1.27}}});
  ExecutorOptions options = options_of(Mode::kInference, 1);
  options.int8 = true;
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  const ExecutionPlan plan = choose_int8(make_tensors(choose_layout(list_operations(network, options))));
  const auto desc = [&](const char* name) { return plan.tensor(plan.tensor_of(network.find(name))).desc; };
  EXPECT_EQ(desc("a").type, DataType::kU8);
  EXPECT_FLOAT_EQ(desc("a").scale, 0.1F) << "its reader's range over 127 levels";
  EXPECT_EQ(desc("b").type, DataType::kF32) << "max_pool takes none";
  EXPECT_EQ(desc("max").type, DataType::kF32) << "like its source";
  EXPECT_EQ(desc("c").type, DataType::kU8);
  EXPECT_EQ(desc("pool").type, DataType::kF32) << "the answer";
}

/// A layer that rounds its source to 7 levels and may write its reader's.
class LevelLayer : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src[0];
    declare.nonnegative = declare.dst_levels = true;
    declare.buffer("other", {3}, 1.0F);
    declare.src_levels = SourceLevels{declare.buffer("scale", {1}, 3.5F), 7};
  }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return nullptr; }
};

class LevelPass : public ::testing::Test {
 protected:
  LevelPass() {
    register_layers(registry_);
    registry_.add_layer("levels", "reads levels", [](Keys&) { return std::make_unique<LevelLayer>(); });
    Config config = Config::parse(
        "[network]\ninput = 4x4x4\n[layer.a]\ntype = levels\n[layer.b]\ntype = levels\n[layer.two]\ntype = "
        "levels\n[layer.c]\ntype = levels\n[layer.sum]\ntype = add\nfrom = c, two\n[layer.d]\ntype = "
        "levels\n[layer.max]\ntype = max_pool\nkernel = 2\n[layer.last]\ntype = levels\n",
        "levels.ini");
    network_ = std::make_unique<Network>(config, registry_);
    config.check();
    network_->initialise(1);
  }

  ExecutionPlan plan(const ExecutorOptions& options) const {
    return choose_levels(make_tensors(choose_layout(list_operations(*network_, options))));
  }
  std::string types(const ExecutorOptions& options) const {
    const ExecutionPlan made = plan(options);
    std::string all;
    for (const PlannedOperation& op : made.operations)
      if (made.tensor(op.dst).desc.type == DataType::kU8) all += made.own_node(op).name + " ";
    return all;
  }

  Registry registry_;
  std::unique_ptr<Network> network_;
};

TEST_F(LevelPass, ChooseLevelsTakesResultsWithOneReader) {
  const ExecutorOptions options = options_of(Mode::kInference, 1);
  EXPECT_EQ(types(options), "a b ") << "two and c are added, max_pool reads numbers, last is the answer";
  const ExecutionPlan made = plan(options);
  EXPECT_FLOAT_EQ(made.tensor(operation(made, "a").dst).desc.scale, 0.5F) << "what one level stands for";
  EXPECT_EQ(operation(made, "a").levels_of, network_->find("b"));
  EXPECT_EQ(operation(made, "c").levels_of, -1);
}

TEST_F(LevelPass, ChooseLevelsWantsToKnowTheScale) {
  for (const StateBuffer& b : network_->buffers()) {
    if (b.path() == "b/scale") network_->buffer_data()[b.offset] = 0;
  }
  EXPECT_EQ(types(options_of(Mode::kInference, 1)), "b ");
}

TEST_F(LevelPass, ChooseLevelsIsForInferenceInFp32) {
  EXPECT_EQ(types(options_of(Mode::kTraining, 1)), "");
  ExecutorOptions options = options_of(Mode::kInference, 1);
  options.type = DataType::kBF16;
  EXPECT_EQ(types(options), "");
  options = options_of(Mode::kInference, 1);
  options.skip = false;
  EXPECT_EQ(types(options), "") << "where everything is computed as in training";
}

TEST_F(Passes, PlanGradientsFollowsTheLossBack) {
  const ExecutionPlan plan = plan_gradients(with_tensors(Mode::kTraining));
  const PlannedOperation &conv0 = operation(plan, "conv0"), &relu0 = operation(plan, "relu0"),
                         &bn1 = operation(plan, "bn1"), &conv1 = operation(plan, "conv1"),
                         &loss = operation(plan, "loss");
  EXPECT_EQ(conv0.diff_src, std::vector<int>{-1}) << "images need none";
  EXPECT_TRUE(loss.has_backward);
  EXPECT_EQ(loss.diff_src.at(1), -1) << "labels need none";
  EXPECT_THAT(relu0.diff_dst, ElementsAre(bn1.diff_addend)) << "the sum goes into the first term";
  EXPECT_THAT(relu0.diff_dst_sums, ElementsAre(ElementsAre(bn1.diff_addend, conv1.diff_src.at(0))));
  EXPECT_EQ(conv0.diff_dst.size(), 1U);
}

TEST_F(Passes, PlanGradientsLeavesInferenceAlone) {
  for (const PlannedOperation& op : plan_gradients(with_tensors(Mode::kInference)).operations) {
    EXPECT_FALSE(op.has_backward);
    EXPECT_THAT(op.diff_src, IsEmpty());
  }
}

TEST_F(Passes, MakeOperationsAsksEveryLayer) {
  const ExecutionPlan plan = with_operations(Mode::kTraining);
  for (const PlannedOperation& op : plan.operations) EXPECT_NE(op.op, nullptr) << plan.own_node(op).name;
  EXPECT_TRUE(operation(plan, "conv1").needs.backward_uses_src);
  std::int64_t most = 0;
  for (const PlannedOperation& op : plan.operations) most = std::max(most, op.needs.slots.scratch_bytes());
  EXPECT_EQ(plan.scratch_bytes, most) << "all share it";
}

TEST_F(Passes, FindLifetimesKeepsWhatBackwardReads) {
  const ExecutionPlan plan = find_lifetimes(with_operations(Mode::kTraining));
  const auto index = [&](const char* name) {
    return static_cast<std::size_t>(&operation(plan, name) - plan.operations.data());
  };
  const auto last_use = [&](const char* name) { return plan.tensor(operation(plan, name).dst).last_use; };
  EXPECT_EQ(last_use("relu0"), plan.backward_time(index("conv1"))) << "the gradient of conv1's weights reads it";
  EXPECT_EQ(last_use("conv0"), plan.backward_time(index("relu0")));
  EXPECT_EQ(last_use("fc"), 2 * static_cast<int>(plan.operations.size())) << "the answer stays";
  const ExecutionPlan inference = find_lifetimes(with_operations(Mode::kInference));
  EXPECT_EQ(inference.tensor(operation(inference, "conv0").dst).last_use, 1) << "read by conv1, and that is all";
}

TEST_F(Passes, PlaceMemoryKeepsApartWhatLivesTogether) {
  const ExecutionPlan plan = place_memory(find_lifetimes(with_operations(Mode::kTraining)));
  for (const PlannedOperation& op : plan.operations) {
    const std::int64_t at = plan.memory.offset(plan.tensor(op.dst).request);
    for (int s : op.src) {
      const PlannedTensor& src = plan.tensor(s);
      if (src.request < 0) continue;  // the program's memory
      const std::int64_t other = plan.memory.offset(src.request);
      EXPECT_TRUE(other + src.desc.bytes() <= at || at + plan.tensor(op.dst).desc.bytes() <= other)
          << plan.own_node(op).name << " would overwrite its source";
    }
    EXPECT_EQ(op.saved_requests.size(), op.needs.slots.saved_bytes().size());
  }
}

TEST(PlacePass, TheResultOfASumTakesTheAddendsMemory) {
  const Built built(
      "[network]\ninput = 16x6x6\n[layer.a]\ntype = conv\nchannels = 16\nkernel = 1\n[layer.b]\ntype = conv\nfrom = "
      "data\nchannels = 16\nkernel = 1\n[layer.add]\ntype = add\nfrom = b, a\n[layer.pool]\ntype = global_pool\n");
  const ExecutionPlan plan = plan_execution(*built, options_of(Mode::kInference, 1));
  const PlannedOperation& b = operation(plan, "b");
  EXPECT_THAT(names(plan), ElementsAre("a", "b+add", "pool"));
  EXPECT_EQ(plan.tensor(b.dst).request, plan.tensor(b.addend).request);
}

/// `turn` has two results: `turn` is read by nobody, `turn:second` by relu, clip and add.
class PassesOfSeveralResults : public ::testing::Test {
 protected:
  ExecutionPlan listed(Mode mode) { return list_operations(*built_, options_of(mode, 2)); }
  ExecutionPlan with_gradients() { return plan_gradients(make_tensors(choose_layout(fuse(listed(Mode::kTraining))))); }
  static std::size_t index(const ExecutionPlan& plan, const char* name) {
    return static_cast<std::size_t>(&operation(plan, name) - plan.operations.data());
  }

  Built built_{R"([network]
input = 3x6x6
[layer.conv]
type = conv
channels = 16
kernel = 1
[layer.turn]
type = test_rotate
from = conv, conv
[layer.relu]
type = relu
from = turn:second
[layer.clip]
type = clip
low = -1
high = 1
from = turn:second
[layer.add]
type = add
from = relu, clip
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 5
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)",
               1, register_test_rotate};
};

TEST_F(PassesOfSeveralResults, ListOperationsKnowsTheirShapes) {
  const ExecutionPlan plan = listed(Mode::kInference);
  EXPECT_EQ(plan.shape_of({built_->find("turn"), 1}), (Shape{2, 16, 6, 6})) << "for the batch";
  EXPECT_EQ(plan.inputs.size(), 6U) << "data, labels and what the loss can take";
  EXPECT_EQ(plan.inputs[2].given.shape, (Shape{2, 5}));
}

TEST_F(PassesOfSeveralResults, FuseLeavesThemAlone) {
  EXPECT_THAT(names(fuse(listed(Mode::kInference))),
              ElementsAre("conv", "turn", "relu", "clip", "add", "pool", "fc", "loss"));
}

TEST_F(PassesOfSeveralResults, MakeTensorsGivesEachOne) {
  const ExecutionPlan plan = with_gradients();
  const PlannedOperation& turn = operation(plan, "turn");
  ASSERT_EQ(turn.more_dst.size(), 1U);
  EXPECT_NE(turn.more_dst[0], turn.dst);
  EXPECT_EQ(operation(plan, "relu").src, turn.more_dst);
  EXPECT_EQ(plan.tensor(turn.more_dst[0]).desc, plan.tensor(turn.dst).desc);
  const PlannedOperation& loss = operation(plan, "loss");
  EXPECT_EQ(plan.tensor(loss.more_dst.at(0)).desc.type, DataType::kF64) << "as it declares";
  EXPECT_EQ(loss.inputs.size(), 4U);
}

TEST_F(PassesOfSeveralResults, PlanGradientsAddsUpThoseOfEach) {
  const ExecutionPlan plan = with_gradients();
  const PlannedOperation &turn = operation(plan, "turn"), &relu = operation(plan, "relu"),
                         &clip = operation(plan, "clip"), &conv = operation(plan, "conv");
  EXPECT_TRUE(turn.has_backward);
  EXPECT_THAT(turn.diff_dst, ElementsAre(-1)) << "nobody reads it";
  EXPECT_THAT(turn.more_diff_dst, ElementsAre(clip.diff_src.at(0)));
  EXPECT_THAT(turn.diff_dst_sums, ElementsAre(ElementsAre(clip.diff_src.at(0), relu.diff_src.at(0))));
  EXPECT_THAT(conv.diff_dst_sums, ElementsAre(ElementsAre(turn.diff_src.at(0), turn.diff_src.at(1))))
      << "it is both sources of turn";
  EXPECT_THAT(operation(plan, "loss").more_diff_dst, ElementsAre(-1));
}

TEST_F(PassesOfSeveralResults, FindLifetimesKeepsWhatBackwardReads) {
  const ExecutionPlan plan = find_lifetimes(make_operations(with_gradients()));
  const PlannedOperation& turn = operation(plan, "turn");
  const int back = plan.backward_time(index(plan, "turn"));
  EXPECT_EQ(plan.tensor(turn.dst).last_use, back);
  EXPECT_EQ(plan.tensor(turn.more_dst[0]).last_use, back);
  const ExecutionPlan inference =
      find_lifetimes(make_operations(plan_gradients(make_tensors(listed(Mode::kInference)))));
  const PlannedOperation& own = operation(inference, "turn");
  EXPECT_EQ(inference.tensor(own.dst).last_use, 1) << "nobody reads it";
  EXPECT_EQ(inference.tensor(own.more_dst[0]).last_use, 3) << "clip is the last to read it";
}

TEST_F(PassesOfSeveralResults, PlaceMemoryKeepsThemApart) {
  const ExecutionPlan plan = plan_execution(*built_, options_of(Mode::kInference, 2));
  const PlannedOperation& turn = operation(plan, "turn");
  const PlannedTensor &first = plan.tensor(turn.dst), &second = plan.tensor(turn.more_dst[0]);
  const std::int64_t a = plan.memory.offset(first.request), b = plan.memory.offset(second.request);
  EXPECT_TRUE(a + first.desc.bytes() <= b || b + second.desc.bytes() <= a);
}

}  // namespace
}  // namespace sluice
