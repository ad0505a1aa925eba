// Precision-gated convolution against its reference, its open gates, its costs, and images in any batch.
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/graph/cost.hpp"
#include "tests/gating/gated_counts.hpp"
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string pg(const std::string& keys) {
  return "[layer.pg]\ntype = pg_conv\n" + keys + "\n";
}

void add(std::vector<LayerCase>& cases, const std::string& name, const Shape& shape, const std::string& keys) {
  LayerCase c{"pg_conv", name, {{"x", shape}}, pg(keys)};
  c.surrogates = {"x/value"};
  if (keys.find("weight_bits = 0") == std::string::npos) c.surrogates.push_back("pg/weight");
  cases.push_back(c);
}

std::vector<LayerCase> bit_cases() {
  std::vector<LayerCase> cases;
  const std::string conv = "channels = 6\nkernel = 3\npad = 1\n";
  const auto bits = [&](std::int64_t w, std::int64_t a, std::int64_t p, const std::string& keys) {
    add(cases, concat("w", w, "a", a, "p", p), {2, 4, 5, 7},
        concat(conv, keys, "weight_bits = ", w, "\nactivation_bits = ", a, "\nprediction_bits = ", p));
  };
  bits(8, 3, 2, "");
  bits(8, 8, 4, "sparse_backprop = yes\n");
  bits(1, 4, 2, "");
  bits(2, 2, 1, "sparse_backprop = yes\n");
  bits(0, 5, 3, "");
  bits(4, 8, 1, "alpha = 2\n");
  bits(4, 9, 8, "");  // more levels than bf16 can hold
  add(cases, "signed", {2, 4, 5, 7}, conv + "weight_levels = signed");
  add(cases, "dynamic", {2, 4, 5, 7}, conv + "scales = dynamic");
  const std::string signs = conv + "activation_levels = bipolar\nactivation_bits = 2\nprediction_bits = 1\n";
  add(cases, "bipolar", {2, 4, 5, 7}, signs + "weight_bits = 1\nweight_clip = 0.5\nsparse_backprop = yes");
  add(cases, "bipolar_8_bit_weights", {2, 4, 5, 7}, signs + "weight_bits = 8");
  add(cases, "bipolar_floating_weights", {2, 4, 5, 7}, signs + "weight_bits = 0\nstride = 2");
  add(cases, "bipolar_slices", {2, 16, 5, 4}, signs + "weight_bits = 1\ngranularity = slice");
  add(cases, "bipolar_4_bits", {2, 4, 5, 7},
      conv + "activation_levels = bipolar\nactivation_bits = 4\nprediction_bits = 1\nweight_bits = 1");
  add(cases, "image", {3, 4, 5, 7}, conv + "scales = image");
  add(cases, "clipped_thresholds", {2, 4, 5, 7}, conv + "threshold_clip = 0.3");
  add(cases, "floating_weights_sparse", {2, 4, 5, 7}, conv + "weight_bits = 0\nsparse_backprop = yes");
  return cases;
}

std::vector<LayerCase> shape_cases() {
  std::vector<LayerCase> cases;
  add(cases, "odd", {2, 3, 5, 7}, "channels = 4\nkernel = 3\nstride = 2\npad = 1");
  add(cases, "dilation", {2, 4, 9, 8}, "channels = 5\nkernel = 3\npad = 2\ndilation = 2\nstride = 2");
  add(cases, "groups", {2, 6, 5, 4}, "channels = 4\nkernel = 3\npad = 1\ngroups = 2");
  add(cases, "pointwise_stride", {3, 16, 5, 7}, "channels = 32\nkernel = 1\nstride = 2");
  add(cases, "sixteen", {2, 16, 4, 5}, "channels = 16\nkernel = 3\npad = 1");
  add(cases, "blocks", {2, 32, 4, 5}, "channels = 48\nkernel = 3\npad = 1\nstride = 2");
  add(cases, "winograd", {2, 32, 5, 7}, "channels = 32\nkernel = 3\npad = 1\nweight_bits = 0");
  cases.back().tolerance = 5e-6;  // thresholds: sums over 70 pixels of products of 288 terms, of both signs
  for (const char* keys : {"scales = image", "activation_levels = bipolar\nactivation_bits = 2\nprediction_bits = 1"}) {
    add(cases, concat("winograd_", keys[0] == 's' ? "image" : "bipolar"), {2, 32, 8, 8},
        concat("channels = 32\nkernel = 3\npad = 1\nweight_bits = 0\n", keys));
    cases.back().tolerance = 5e-6;
  }
  add(cases, "from_tail_to_blocks", {2, 6, 6, 5}, "channels = 32\nkernel = 3\npad = 1");
  add(cases, "from_blocks_to_tail", {2, 32, 4, 3}, "channels = 20\nkernel = 3\npad = 1");
  add(cases, "one_pixel", {5, 4, 1, 1}, "channels = 6\nkernel = 1");
  for (const std::int64_t weight_bits : {7, 8}) {  // of a source that is nowhere below 0: one byte, and two
    for (const std::int64_t width : {5, 32}) {
      add(cases, concat("int8_", weight_bits, "_", width), {2, width, 6, 7},
          concat("channels = ", width, "\nkernel = 3\npad = 1\nweight_bits = ", weight_bits));
      cases.back().layers = "[layer.relu]\ntype = relu\n" + cases.back().layers;
    }
  }
  for (const char* granularity : {"slice", "pixel"}) {
    for (const int width : {5, 16, 20, 48}) {
      add(cases, concat(granularity, "_", width), {2, width % 16 == 0 ? 16 : 6, 4, 3},
          concat("channels = ", width, "\nkernel = ", width == 20 ? 3 : 1, "\ngranularity = ", granularity,
                 "\nsparse_backprop = ", width == 16 || width == 20 ? "yes" : "no"));
    }
  }
  LayerCase first{"pg_conv", "first_layer", {{"data", {2, 4, 5, 7}}}, pg("channels = 16\nkernel = 3\npad = 1")};
  first.surrogates = {"pg/weight"};
  cases.push_back(first);
  return cases;
}

/// Some sources and weights are exactly 0; the stored scale is like the sources; gates are clear of their edges.
void prepare_pg(Network& network, const CaseBatch& batch) {
  for (const Parameter& p : network.parameters()) {
    for (std::int64_t i = p.shape.rank() > 1 ? 0 : p.shape.count(); i < p.shape.count(); i += 7)
      network.parameter_data()[p.offset + i] = 0.0F;
  }
  for (const StateBuffer& b : network.buffers()) {
    if (b.name == "src_scale") network.buffer_data()[b.offset] = 1.7F;
  }
  clear_edges(network, batch);
}

std::vector<LayerCase> pg_cases() {
  std::vector<LayerCase> cases = bit_cases();
  for (const LayerCase& c : shape_cases()) cases.push_back(c);
  LayerCase block{"pg_conv", "in_a_block", {{"x", {2, 16, 4, 5}}}, ""};
  block.layers = "[layer.relu1]\ntype = pact_relu\ninit = 1.5\n" + pg("channels = 16\nkernel = 3\npad = 1") +
                 "[layer.bn2]\ntype = batchnorm\n[layer.add]\ntype = add\nfrom = bn2, x\n[layer.relu2]\ntype = relu\n";
  block.surrogates = {"x/value", "pg/weight", "relu1/upper_bound"};
  block.tolerance = 1e-5;
  block.bf16_tolerance = 1.0 / 16;  // the bound's gradient is one sum of rounded values of both signs
  cases.push_back(block);
  for (LayerCase& c : cases) {
    c.references = gated_references();
    c.prepare = prepare_pg;
    c.types = register_gated_types;
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(PgConv, LayerCases, ::testing::ValuesIn(pg_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(PgConv, GatedCounts, ::testing::ValuesIn(pg_cases()), case_name);

const char* const kText = R"([network]
input = 3x9x8
[layer.stem]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.relu1]
type = pact_relu
[layer.elements]
type = pg_conv
channels = 32
kernel = 3
stride = 2
pad = 1
[layer.relu2]
type = relu
[layer.slices]
type = pg_conv
channels = 32
kernel = 3
granularity = slice
[layer.relu3]
type = relu
[layer.pixels]
type = pg_conv
channels = 24
kernel = 1
activation_bits = 4
granularity = pixel
[layer.relu4]
type = relu
[layer.quantized]
type = quantized_conv
channels = 20
kernel = 1
activation_bits = 3
[layer.pool]
type = global_pool
[layer.fc]
type = quantized_linear
features = 10
)";

struct Outcome {
  std::vector<float> logits;
  std::vector<std::int64_t> open;
};

class PgBatches : public ::testing::Test {
 protected:
  static constexpr std::int64_t kImages = 6;

  PgBatches() : built_(kText) {
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
    for (int pass = 0; pass < 5; ++pass) executor.forward();
  }

  /// All images in batches of a size. Stem and last layer are dense: their bits do not depend on the batch in oneDNN's
  /// direct kernels.
  Outcome run(ExecutorOptions options, std::int64_t batch) {
    Network& network = *built_.network;
    options.batch = batch;
    Executor executor(network, options);
    executor.refresh();
    Outcome all;
    for (std::int64_t first = 0; first < kImages; first += batch) {
      executor.set_batch(images_.data() + first * network.input_shape(1).count(), nullptr);
      executor.forward();
      const float* const logits = executor.logits().as<const float>();
      all.logits.insert(all.logits.end(), logits, logits + batch * 10);
    }
    for (const char* layer : {"elements", "slices", "pixels"})
      all.open.push_back(executor.counts(network.find(layer))[0]);
    return all;
  }

  GatedNetwork built_;
  std::vector<float> images_;
};

TEST_F(PgBatches, WithFrozenScalesAnImageIsWorthTheSameInAny) {
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
    for (const DataType type : {DataType::kF32, DataType::kBF16}) {
      if (type == DataType::kBF16 && !cpu_has_bf16()) continue;
      SCOPED_TRACE(concat("layout ", static_cast<int>(layout), ", ", to_string(type)));
      ExecutorOptions options;
      options.layout = layout;
      options.type = type;
      options.winograd = false;
      const Outcome together = run(options, kImages), alone = run(options, 1), pairs = run(options, 2);
      EXPECT_EQ(together.open, alone.open);
      EXPECT_EQ(together.logits, alone.logits);
      EXPECT_EQ(together.logits, pairs.logits);
      for (const std::int64_t open : together.open) EXPECT_GT(open, 0);
    }
  }
}

TEST_F(PgBatches, WithDynamicScalesItDependsOnTheOthers) {
  for (const StateBuffer& b : built_.network->buffers()) built_.network->buffer_data()[b.offset] = 0;
  EXPECT_NE(run({}, kImages).logits, run({}, 1).logits);
}

// METHOD: multiply-adds x weight bits x (Bh + density (B - Bh)).
TEST(PgCosts, AreThoseOfTheAverageBits) {
  const GatedNetwork built(
      "[network]\ninput = 4x6x5\n[layer.pg]\ntype = pg_conv\nchannels = 6\nkernel = 3\nweight_bits = 7\n"
      "activation_bits = 5\nprediction_bits = 2\n");
  constexpr double kMacs = 6 * 4 * 9 * 4 * 3;
  const int node = built.network->find("pg");
  std::vector<std::vector<std::int64_t>> counts(built.network->nodes().size());
  counts[static_cast<std::size_t>(node)] = {3, 8};
  const Cost cost = total(layer_costs(*built.network, counts));
  EXPECT_EQ(cost.macs_dense, kMacs);
  EXPECT_EQ(cost.macs_executed, kMacs);
  EXPECT_DOUBLE_EQ(cost.bit_operations_dense, kMacs * 7 * 5);
  EXPECT_DOUBLE_EQ(cost.bit_operations_executed, kMacs * 7 * (2 + 3.0 / 8 * 3));
  EXPECT_DOUBLE_EQ(cost.average_bits(), 2 + 3.0 / 8 * 3);
}

}  // namespace
}  // namespace sluice
