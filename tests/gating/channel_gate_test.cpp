// Gates of whole channels: decisions against their reference, the composite, and which products they save.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "core/graph/cost.hpp"
#include "tests/gating/gated_counts.hpp"
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string decision(const std::string& keys = "") {
  return "[layer.decision]\ntype = channel_decision\n" + keys + "\n";
}

std::vector<LayerCase> finish(std::vector<LayerCase> cases) {
  for (LayerCase& c : cases) {
    c.references = gated_references();
    c.types = register_gated_types;
    c.prepare = clear_edges;
    c.seed = 2;
  }
  return cases;
}

std::vector<LayerCase> decision_cases() {
  return finish({
      {"channel_decision", "sigmoid", {{"x", {5, 7}, true}}, decision()},
      {"channel_decision", "saliency", {{"x", {5, 7}, true}}, decision("scale = saliency\nthreshold_init = -0.5")},
      {"channel_decision", "none", {{"x", {6, 3}, true}}, decision("scale = none\nalpha = 0.7")},
      {"channel_decision", "sparse", {{"x", {5, 16}, true}}, decision("sparse_backprop = yes\nalpha = 5")},
      {"channel_decision", "noisy", {{"x", {9, 5}, true}}, decision("noise = 1\nalpha = 1.5")},
      {"channel_decision", "bf16", {{"x", {7, 33}}}, decision("scale = saliency")},
      {"channel_decision", "one", {{"x", {4, 1}, true}}, decision()},
  });
}

std::string gate(const std::string& keys) {
  return "[layer.gate]\ntype = channel_gate\ninit_scale = 1\n" + keys + "\n";
}

std::vector<LayerCase> gate_cases() {
  return finish({
      {"channel_gate", "own_source", {{"x", {5, 6, 5, 7}}}, gate("alpha = 3")},
      {"channel_gate", "other_source", {{"s", {5, 3, 5, 7}}, {"x", {5, 6, 3, 4}}}, gate("from = x, s\nscale = none")},
      {"channel_gate", "blocks", {{"s", {4, 16, 5, 3}}, {"x", {4, 32, 3, 3}}}, gate("from = x, s\nscale = saliency")},
      {"channel_gate",
       "tail",
       {{"s", {4, 32, 5, 3}}, {"x", {4, 18, 3, 3}}},
       gate("from = x, s\nsparse_backprop = yes")},
  });
}

INSTANTIATE_TEST_SUITE_P(ChannelDecision, LayerCases, ::testing::ValuesIn(decision_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(ChannelGate, LayerCases, ::testing::ValuesIn(gate_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(ChannelDecision, GatedCounts, ::testing::ValuesIn(decision_cases()), case_name);

// 2 sigmoid(ln 3) = 1.5.
std::vector<SemanticCase> semantics() {
  const double log3 = std::log(3.0);
  SemanticCase c{"channel_decision", "closes", {{"x", {2, 2}, true, {2 + log3, 0.5, 2, 0.5 + log3}}}, decision()};
  c.state = {{"decision/threshold", {2, 0.5}}};  // ties are closed
  c.types = register_gated_types;
  c.shape = {2, 2};
  c.result = {1.5, 0, 0, 1.5};

  SemanticCase learns = c;
  learns.name = "learns";
  learns.mode = Mode::kTraining;
  learns.layers = decision("scale = saliency\nalpha = 4");
  learns.result = {log3, 0, 0, log3};
  learns.upstream = {1, 10, 100, 1000};
  const double s = 81.0 / 82, open = 1 + log3 * 4 * s * (1 - s);  // sigmoid(4 ln 3)
  learns.gradients = {{"x/value", {open, 0, 0, 1000 * open}}, {"decision/threshold", {-open, -1000 * open}}};

  SemanticCase composite{
      "channel_gate", "multiplies", {{"x", {1, 2, 1, 2}, false, {1, 3, -2, 2}}}, gate("scale = none")};
  composite.types = register_gated_types;
  composite.state = {{"gate.saliency/weight", {1, 0, 0, 1}}, {"gate.decision/threshold", {1.5, 0.5}}};
  composite.shape = {1, 2, 1, 2};
  composite.result = {1, 3, 0, 0};  // means are 2 and 0
  return {c, learns, composite};
}

INSTANTIATE_TEST_SUITE_P(ChannelGate, SemanticCases, ::testing::ValuesIn(semantics()), case_name);

/// A residual block of 3 to 5 channels on 4 x 6 pixels: multiply-adds a 24 x 3 x 5 x 9, b 24 x 5 x 5 x 9.
std::string block(const std::string& between) {
  return "[network]\ninput = 3x4x6\n"
         "[layer.a]\ntype = conv\nchannels = 5\nkernel = 3\npad = 1\n"
         "[layer.bn]\ntype = batchnorm\n" +
         between +
         "[layer.b]\ntype = conv\nchannels = 5\nkernel = 3\npad = 1\n"
         "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 2\n";
}

std::vector<std::string> saved(const GatedNetwork& built) {
  std::vector<std::string> lines;
  const auto& nodes = built.network->nodes();
  const auto name = [&](int node) { return node < 0 ? "-" : nodes[static_cast<std::size_t>(node)].name; };
  for (const ChannelProducts& p : built.network->channel_products())
    lines.push_back(concat(name(p.node), " ", p.inputs, " of ", name(p.closes_inputs), ", ", p.outputs, " of ",
                           name(p.closes_outputs)));
  return lines;
}

TEST(ChannelProducts, AreThoseBeforeAndBehindTheGate) {
  const GatedNetwork built(block("[layer.relu]\ntype = relu\n[layer.gate]\ntype = channel_gate\nfrom = relu, data\n"));
  EXPECT_THAT(saved(built), ElementsAre("a 3 of -, 5 of gate.decision", "b 5 of gate.decision, 5 of -"));
}

TEST(ChannelProducts, AreNotThoseThatTheSaliencyNeeds) {
  const GatedNetwork built(block("[layer.relu]\ntype = relu\n[layer.gate]\ntype = channel_gate\n"));
  EXPECT_THAT(saved(built), ElementsAre("b 5 of gate.decision, 5 of -"));
}

TEST(ChannelProducts, PassActivationsAndPooling) {
  const GatedNetwork built(
      block("[layer.gate]\ntype = channel_gate\nfrom = bn, data\n[layer.relu]\ntype = relu\n"
            "[layer.max]\ntype = max_pool\nkernel = 2\nstride = 2\n"));
  EXPECT_THAT(saved(built), ElementsAre("a 3 of -, 5 of gate.decision", "b 5 of gate.decision, 5 of -"));
}

TEST(ChannelProducts, EndWhereZerosDo) {
  const GatedNetwork built(block("[layer.gate]\ntype = channel_gate\nfrom = bn, data\n[layer.s]\ntype = sigmoid\n"));
  EXPECT_THAT(saved(built), ElementsAre("a 3 of -, 5 of gate.decision")) << "sigmoid(0) is not 0";
  const GatedNetwork plain(block("[layer.relu]\ntype = relu\n"));
  EXPECT_THAT(saved(plain), IsEmpty());
}

TEST(ChannelProducts, OfTwoGatesAreOpenOnBothSides) {
  const GatedNetwork built(block("[layer.relu]\ntype = relu\n[layer.gate]\ntype = channel_gate\nfrom = relu, data\n") +
                           "[layer.gate2]\ntype = channel_gate\nafter = b\nfrom = b, gate\n");
  EXPECT_THAT(saved(built), ElementsAre("a 3 of -, 5 of gate.decision", "b 5 of gate.decision, 5 of gate2.decision",
                                        "gate2.saliency 5 of gate.decision, 5 of -", "fc 5 of gate2.decision, 2 of -"));
}

/// Counts and costs of a network with two gates, by walking over its products.
TEST(ChannelProducts, AreCountedOneByOne) {
  const GatedNetwork built(
      block("[layer.relu]\ntype = relu\n[layer.gate]\ntype = channel_gate\nfrom = relu, data\ninit_scale = 3\n") +
      "[layer.gate2]\ntype = channel_gate\nafter = b\nfrom = b, gate\ninit_scale = 3\n");
  Network& network = *built.network;
  network.initialise(2);
  for (const Parameter& p : network.parameters()) {
    for (std::int64_t i = 0; p.group == "threshold" && i < p.shape.count(); ++i)
      network.parameter_data()[p.offset + i] = i % 2 == 0 ? -0.05F : 0.05F;
  }
  constexpr std::int64_t kBatch = 6;
  ExecutorOptions options;
  options.batch = kBatch;
  options.record_decisions = true;
  Executor executor(network, options);
  std::vector<float> images(static_cast<std::size_t>(network.input_shape(kBatch).count()));
  Random random(3, Purpose::kTest);
  for (float& x : images) x = static_cast<float>(random.normal());
  executor.set_batch(images.data(), nullptr);
  executor.refresh();
  executor.forward();
  executor.forward();  // counts add up
  const float *const first = executor.decisions(network.find("gate.decision")), *const second = executor.decisions(
                                                                                    network.find("gate2.decision"));
  std::int64_t a = 0, b = 0, open = 0;
  for (std::int64_t n = 0; n < kBatch; ++n) {
    for (std::int64_t i = 0; i < 5; ++i) {
      open += first[n * 5 + i] > 0 ? 1 : 0;
      a += first[n * 5 + i] > 0 ? 3 : 0;
      for (std::int64_t o = 0; o < 5; ++o) b += first[n * 5 + i] > 0 && second[n * 5 + o] > 0 ? 1 : 0;
    }
  }
  ASSERT_GT(b, 0);
  ASSERT_LT(b, kBatch * 25);
  EXPECT_EQ(executor.counts(network.find("gate.decision"))[0], 2 * open);
  EXPECT_EQ(executor.counts(network.find("gate.decision"))[1], 2 * kBatch * 5);
  const std::vector<Cost> costs = layer_costs(network, executor.statistics().counts_by_node());
  const auto cost = [&](const char* name) { return costs[static_cast<std::size_t>(network.find(name))]; };
  EXPECT_DOUBLE_EQ(cost("a").macs_dense, 24 * 15 * 9);
  EXPECT_NEAR(cost("a").macs_executed * kBatch, static_cast<double>(24 * 9 * a), 1e-6);
  EXPECT_NEAR(cost("b").macs_executed * kBatch, static_cast<double>(24 * 9 * b), 1e-6);
  EXPECT_DOUBLE_EQ(cost("gate.saliency").macs_executed, 3 * 5) << "the saliency costs";
}

}  // namespace
}  // namespace sluice
