// What a network costs, dense and as executed, and the metrics that plug-ins derive from counts.
#include "core/graph/cost.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/graph/executor.hpp"
#include "layers/layers.hpp"
#include "tests/layers/harness/test_gate.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

/// A network of images of 2x3x4 with the given layers before a classifier of 2 x 24 = 48 multiply-adds.
struct Subject {
  explicit Subject(const std::string& layers, void (*register_more)(Registry&) = nullptr) {
    register_layers(registry);
    register_test_gate(registry);
    if (register_more != nullptr) register_more(registry);
    Config config = Config::parse("[network]\ninput = 2x3x4\n" + layers +
                                      "[layer.fc]\ntype = linear\nfeatures = 2\n[layer.loss]\ntype = "
                                      "softmax_cross_entropy\nfrom = fc, labels\n",
                                  "net.ini");
    network = std::make_unique<Network>(config, registry);
    config.check();
  }
  CountsByNode zeros() const {
    CountsByNode counts;
    for (const Node& node : network->nodes()) counts.emplace_back(node.declared.counts.size(), 0);
    return counts;
  }

  Registry registry;
  std::unique_ptr<Network> network;
};

const std::string kConditional = "[layer.a]\ntype = test_gate\nmacs = 100\nconditional_macs = 300\n";
const std::string kPrecision =
    "[layer.b]\ntype = test_gate\nmacs = 1000\nweight_bits = 8\nactivation_bits = 3\nfirst_bits = 2\n";

TEST(Cost, ADenseNetworkIsExecutedAsItStands) {
  const Subject s("");
  const Cost cost = total(layer_costs(*s.network, {}));
  EXPECT_EQ(cost.macs_dense, 48);
  EXPECT_EQ(cost.macs_executed, 48);
  EXPECT_EQ(cost.bit_operations_dense, 48 * 32 * 32);
  EXPECT_EQ(cost.bit_operations_executed, 48 * 32 * 32);
  EXPECT_EQ(cost.flop_reduction(), 1);
  EXPECT_EQ(cost.average_bits(), 32);
  EXPECT_FALSE(has_conditional_cost(*s.network));
  EXPECT_FALSE(has_narrow_activations(*s.network));
}

TEST(Cost, ConditionalTermsCountByTheirOpenShare) {
  const Subject s(kConditional);
  EXPECT_TRUE(has_conditional_cost(*s.network));
  EXPECT_FALSE(has_narrow_activations(*s.network));
  EXPECT_EQ(s.network->macs(), 448);
  CountsByNode counts = s.zeros();
  counts[0] = {3, 8};
  const std::vector<Cost> costs = layer_costs(*s.network, counts);
  EXPECT_EQ(costs[0].macs_dense, 400);
  EXPECT_EQ(costs[0].macs_executed, 100 + 300 * 3.0 / 8);
  EXPECT_EQ(costs[0].bit_operations_executed, 32 * 32 * (100 + 300 * 3.0 / 8));
  EXPECT_EQ(costs[0].average_bits(), 32) << "what was multiplied had 32 bits";
  EXPECT_DOUBLE_EQ(total(costs).flop_reduction(), 448 / 260.5);
  counts[0] = {0, 8};
  EXPECT_DOUBLE_EQ(total(layer_costs(*s.network, counts)).macs_executed, 148);
  EXPECT_EQ(total(layer_costs(*s.network, s.zeros())).macs_executed, 448) << "nothing was counted: done";
}

TEST(Cost, FurtherBitsOfTheSameProductsAreNoMultiplyAdds) {
  const Subject s(kPrecision);
  EXPECT_TRUE(has_narrow_activations(*s.network));
  EXPECT_EQ(s.network->macs(), 1048);
  CountsByNode counts = s.zeros();
  counts[0] = {1, 4};
  const std::vector<Cost> costs = layer_costs(*s.network, counts);
  EXPECT_EQ(costs[0].macs_dense, 1000);
  EXPECT_EQ(costs[0].macs_executed, 1000);
  EXPECT_EQ(costs[0].flop_reduction(), 1);
  EXPECT_EQ(costs[0].bit_operations_dense, 1000 * 8 * 3);
  EXPECT_EQ(costs[0].bit_operations_executed, 1000 * 8 * 2.25);
  EXPECT_EQ(costs[0].average_bits(), 2 + 0.25 * (3 - 2));
  EXPECT_DOUBLE_EQ(total(costs).average_bits(), (1000 * 2.25 + 48 * 32) / 1048) << "weighted by multiply-adds";
}

TEST(Cost, NothingExecuted) {
  const Subject s("[layer.a]\ntype = test_gate\nconditional_macs = 300\n");
  CountsByNode counts = s.zeros();
  counts[0] = {0, 5};
  const Cost cost = layer_costs(*s.network, counts)[0];
  EXPECT_TRUE(std::isinf(cost.flop_reduction()));
  EXPECT_EQ(cost.average_bits(), 0);
  EXPECT_EQ(layer_costs(*s.network, counts)[2].flop_reduction(), 1) << "a layer without multiply-adds";
}

TEST(DerivedMetrics, AreRatiosOfSumsOfCounts) {
  const Subject s(kConditional + kPrecision);
  CountsByNode counts = s.zeros();
  counts[0] = {1, 4};
  counts[1] = {2, 12};
  const std::vector<DerivedMetric> metrics = derive_metrics(*s.network, counts);
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_EQ(metrics[0].type->name, "open_share");
  EXPECT_EQ(metrics[0].value, 3.0 / 16) << "not the mean of 1/4 and 1/6";
  EXPECT_THAT(metrics[0].layers, ElementsAre(0.25, 2.0 / 12, std::nullopt, std::nullopt));
  EXPECT_EQ(metrics[1].type->name, "closed_share");
  EXPECT_EQ(metrics[1].value, 13.0 / 16);
}

TEST(DerivedMetrics, GiveNothingWhereTheyDoNotApply) {
  const Subject dense("");
  EXPECT_TRUE(derive_metrics(*dense.network, dense.zeros()).empty());
  EXPECT_TRUE(metrics_of(*dense.network).empty());
  const Subject s(kConditional);
  EXPECT_TRUE(derive_metrics(*s.network, s.zeros()).empty()) << "nothing was counted yet";
  ASSERT_EQ(metrics_of(*s.network).size(), 2u);
  EXPECT_EQ(metrics_of(*s.network)[1]->name, "closed_share");
}

TEST(DerivedMetrics, ExecutorsCountOverTheirBatches) {
  const Subject s(kConditional);
  s.network->initialise(1);
  ExecutorOptions options;
  options.batch = 3;
  Executor executor(*s.network, options);
  std::vector<float> images(3 * 24, -1.0F);
  images[5] = images[70] = 0.5F;
  images[7] = 0.0F;  // at the threshold: closed
  const std::vector<std::int32_t> labels = {0, 1, 0};
  executor.set_batch(images.data(), labels.data());
  executor.refresh();
  executor.forward();
  executor.forward();
  const CountsByNode counts = executor.statistics().counts_by_node();
  EXPECT_THAT(counts[0], ElementsAre(4, 144));
  EXPECT_EQ(derive_metrics(*s.network, counts)[0].value, 4.0 / 144);
}

TEST(DerivedMetrics, PeopleAreToldAFigureOrItsComplement) {
  // Figures that happen to add up to 1 are no complements.
  const Subject s(kConditional, [](Registry& registry) {
    for (const char* name : {"first_half", "second_half"})
      registry.add_metric(name, "", "", [](const Node&, const std::int64_t*) { return Ratio{1, 2}; });
  });
  CountsByNode counts = s.zeros();
  counts[0] = {1, 4};
  const std::vector<DerivedMetric> all = derive_metrics(*s.network, counts), said = said_once(all);
  const auto names = [](const auto& metrics) {
    std::vector<std::string> found;
    for (const DerivedMetric& metric : metrics) found.push_back(metric.type->name);
    return found;
  };
  EXPECT_THAT(names(all), ElementsAre("open_share", "closed_share", "first_half", "second_half"));
  EXPECT_EQ(all[1].type->complement, "open_share");
  EXPECT_EQ(all[1].value, 3.0 / 4);
  EXPECT_EQ(all[1].layers[0], 3.0 / 4);
  EXPECT_THAT(names(said), ElementsAre("open_share", "first_half", "second_half"));
  std::vector<std::string> types;
  for (const MetricType* type : metrics_said_once(*s.network)) types.push_back(type->name);
  EXPECT_EQ(types, names(said)) << "whatever was counted";
}

TEST(Registry, RefusesMetricsWithBadOrTakenNames) {
  Registry registry;
  register_test_gate(registry);
  const auto text = [&](const std::string& name) {
    try {
      registry.add_metric(name, "", "", [](const Node&, const std::int64_t*) { return std::nullopt; });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(text("open_share"), "metric 'open_share' is registered twice; two plug-ins may use the same name");
  for (const char* bad : {"", "Open", "open share", "open/share"}) {
    EXPECT_EQ(text(bad),
              "metric '" + std::string(bad) + "': a name has lower-case letters, digits and underscores only");
  }
  for (const char* own : {"loss", "lr", "step", "flop_reduction", "images_per_second"})
    EXPECT_EQ(text(own), "metric '" + std::string(own) + "': Sluice itself reports something of this name");
  for (const char* own : {"train_share", "val_share", "test_share"})
    EXPECT_EQ(text(own),
              "metric '" + std::string(own) + "': the prefixes train_, val_ and test_ say what was measured");
  EXPECT_EQ(text("share"), "");
  const auto complement = [&](const std::string& name, const std::string& of) {
    try {
      registry.add_complement(name, "", of);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(complement("rest", "shares"), "metric 'rest': is to be 1 - 'shares', which is not registered before it");
  EXPECT_EQ(complement("share", "share"), "metric 'share' is registered twice; two plug-ins may use the same name");
  EXPECT_EQ(complement("rest", "share"), "");
  EXPECT_EQ(registry.metrics().size(), 4u);
}

}  // namespace
}  // namespace sluice
