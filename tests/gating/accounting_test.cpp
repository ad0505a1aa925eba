// What an evaluation says about costs, against multiply-adds counted one by one.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/data/memory.hpp"
#include "core/train/evaluator.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 11, kBatch = 4;  // the last batch is smaller

const char* const kText = R"([network]
input = 3x9x8
[layer.stem]
type = conv
channels = 8
kernel = 3
pad = 1
[layer.relu1]
type = relu
[layer.groups]
type = cg_conv
channels = 20
kernel = 3
stride = 2
pad = 1
partitions = 4
own_chunk = yes
shuffle = yes
threshold_init = 0.3
[layer.relu2]
type = relu
[layer.slices]
type = cg_conv
channels = 18
kernel = 3
pad = 2
dilation = 2
partitions = 7
granularity = slice
threshold_init = -0.1
[layer.relu3]
type = relu
[layer.pixels]
type = cg_conv
channels = 5
kernel = 1
partitions = 2
granularity = pixel
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 4
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

/// A convolution as this test knows it. Taps that reach over the border count, as they do in every published number.
struct Counted {
  std::string name;
  std::int64_t inputs, outputs, kernel, height, width;  ///< of the result
  std::int64_t partitions = 0;                          ///< 0: no gates
  bool group = false;
};

std::vector<Counted> counted_layers() {
  return {{"stem", 3, 8, 3, 9, 8},
          {"groups", 8, 20, 3, 5, 4, 4, true},
          {"slices", 20, 18, 3, 5, 4, 7, false},
          {"pixels", 18, 5, 1, 5, 4, 2, false},
          {"fc", 5, 4, 1, 1, 1}};
}

bool in_base(const Counted& layer, std::int64_t o, std::int64_t i) {
  if (layer.partitions == 0) return true;
  const std::int64_t chunk = layer.inputs / layer.partitions;
  return layer.group ? i / chunk == o / (layer.outputs / layer.partitions) : i < chunk;
}

struct Count {
  std::int64_t done = 0, dense = 0, open = 0, outputs = 0;
};

/// Walks all outputs of one image. `scores` is empty for a layer without gates.
void walk(const Counted& layer, const Array& scores, std::int64_t image, Count& count) {
  for (std::int64_t o = 0; o < layer.outputs; ++o) {
    for (std::int64_t h = 0; h < layer.height; ++h) {
      for (std::int64_t w = 0; w < layer.width; ++w) {
        const std::int64_t slices = scores.values.empty() ? 1 : scores.shape[kC];
        const std::int64_t slice = slices == layer.outputs ? o : slices == 1 ? 0 : o / 16;
        const bool open = scores.values.empty() || scores.at(image, slice, h, w) > 0;
        ++count.outputs;
        count.open += open ? 1 : 0;
        for (std::int64_t i = 0; i < layer.inputs; ++i) {
          for (std::int64_t tap = 0; tap < layer.kernel * layer.kernel; ++tap) {
            ++count.dense;
            if (open || in_base(layer, o, i)) ++count.done;
          }
        }
      }
    }
  }
}

class Accounting : public ::testing::Test {
 protected:
  Accounting()
      : built_(kText),
        references_(standard_references()),
        dataset_({"made up", kImages, {3, 9, 8}, 4, {}}, pixels(), labels()) {
    built_.network->initialise(3);
    for (const auto& entry : gated_references()) references_[entry.first] = entry.second;
  }

  static std::vector<std::uint8_t> pixels() {
    Random random(4, Purpose::kTest);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(kImages * 3 * 9 * 8));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
    return bytes;
  }
  static std::vector<std::int32_t> labels() { return std::vector<std::int32_t>(kImages, 1); }

  /// The batch goes through the references; every counted layer is walked with their decisions.
  void count(const Batch& batch, std::map<std::string, Count>& counts) {
    ReferenceGraph graph(*built_.network, references_);
    graph.data = to_array(Tensor{{{batch.count, 3, 9, 8}, DataType::kF32, 3}, const_cast<float*>(batch.images.data())});
    graph.labels = Array(Shape{batch.count});
    graph.forward(false);
    for (const Counted& layer : counted_layers()) {
      const Array& scores = graph.scores[static_cast<std::size_t>(built_.network->find(layer.name))];
      for (const double score : scores.values)
        ASSERT_GT(std::abs(score), 1e-5) << "a decision on the edge, where rounding may decide: change the seed";
      for (std::int64_t n = 0; n < batch.count; ++n) walk(layer, scores, n, counts[layer.name]);
    }
  }

  GatedNetwork built_;
  ReferenceTable references_;
  MemoryDataset dataset_;
};

TEST_F(Accounting, CountsWhatIsDone) {
  PipelineOptions pipeline;
  pipeline.batch = kBatch;
  pipeline.normalization = {{0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}};
  Evaluator evaluator(*built_.network, ExecutorOptions{}, dataset_, pipeline);
  std::map<std::string, Count> counts;
  const std::optional<Evaluation> evaluation =
      evaluator.run([&](const Batch& batch, const float*, std::int64_t) { count(batch, counts); });
  ASSERT_TRUE(evaluation.has_value());
  ASSERT_EQ(evaluation->images, kImages);
  Count all;
  std::set<std::string> seen;
  for (const Counted& layer : counted_layers()) {
    SCOPED_TRACE(layer.name);
    const auto node = static_cast<std::size_t>(built_.network->find(layer.name));
    const Count& c = counts.at(layer.name);
    const Cost& cost = evaluation->layer_costs[node];
    EXPECT_EQ(cost.macs_dense * kImages, static_cast<double>(c.dense));
    EXPECT_NEAR(cost.macs_executed * kImages, static_cast<double>(c.done), 1e-6);
    EXPECT_EQ(cost.bit_operations_dense, cost.macs_dense * 32 * 32);
    EXPECT_NEAR(cost.bit_operations_executed, cost.macs_executed * 32 * 32, 1e-6);
    all.done += c.done;
    all.dense += c.dense;
    seen.insert(layer.name);
    if (layer.partitions == 0) continue;
    EXPECT_EQ(evaluation->counts[node], (std::vector<std::int64_t>{c.open, c.outputs}));
    EXPECT_GT(c.open, 0);
    EXPECT_LT(c.open, c.outputs);
  }
  EXPECT_EQ(evaluation->cost.macs_dense * kImages, static_cast<double>(all.dense));
  EXPECT_NEAR(evaluation->cost.macs_executed * kImages, static_cast<double>(all.done), 1e-6);
  EXPECT_EQ(built_.network->macs() * kImages, all.dense);
  for (std::size_t v = 0; v < built_.network->nodes().size(); ++v) {
    const std::string& name = built_.network->nodes()[v].name;
    if (seen.count(name) > 0) continue;
    EXPECT_EQ(evaluation->layer_costs[v].macs_dense, 0) << name << " has costs that were not counted";
  }
}

// METHOD's closed form on one layer: MACs (b + (1 - b) density), b the share of the weights in the base path.
TEST_F(Accounting, FollowsTheFormula) {
  PipelineOptions pipeline;
  pipeline.batch = kBatch;
  pipeline.normalization = {{0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}};
  Evaluator evaluator(*built_.network, ExecutorOptions{}, dataset_, pipeline);
  const Evaluation evaluation = *evaluator.run();
  const std::pair<const char*, double> shares[] = {{"groups", 1.0 / 4}, {"slices", 2.0 / 20}, {"pixels", 9.0 / 18}};
  for (const auto& [name, share] : shares) {
    const auto node = static_cast<std::size_t>(built_.network->find(name));
    const std::vector<std::int64_t>& counts = evaluation.counts[node];
    const double density = static_cast<double>(counts[0]) / static_cast<double>(counts[1]);
    const Cost& cost = evaluation.layer_costs[node];
    EXPECT_NEAR(cost.macs_executed, cost.macs_dense * (share + (1 - share) * density), 1e-9 * cost.macs_dense) << name;
  }
}

}  // namespace
}  // namespace sluice
