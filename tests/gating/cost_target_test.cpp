// The gating loss with form = cost: its value, its gradient through every kind of gate, its ramp, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;

/// Multiply-adds (or bit operations) of a network for one image, as its layers' keys say, by what is open.
using Executed = std::function<double(const ReferenceGraph&, const Network&)>;

/// Share of a node's outputs (of all channels and pixels of an image) that the reference takes for open.
double density(const ReferenceGraph& graph, const Network& network, const char* name) {
  const auto v = static_cast<std::size_t>(network.find(name));
  double sum = 0;
  for (const double open : graph.open[v]) sum += open;
  return sum / static_cast<double>(graph.open[v].size()) / static_cast<double>(network.nodes()[v].declared.dst.count());
}

struct CostCase {
  std::string name, layers;
  std::vector<std::string> gates;  ///< nodes that decide
  Executed executed;
  double dense;
  Shape source = {5, 8, 4, 5};
};

void PrintTo(const CostCase& c, std::ostream* out) {
  *out << c.name;
}

const char* const kLoss = "[gating_loss]\nform = cost\ncost_target = 0.85\ncost_penalty = 3\nramp_epochs = 0\n";
constexpr double kTarget = 0.85, kPenalty = 3;

/// Of 8 to 8 channels with 3 x 3 filters on 4 x 5 pixels: 11520 multiply-adds; 8 to 6 with 1 x 1: 960.
CostCase channel_gating(const std::string& name, const std::string& keys) {
  CostCase c;
  c.name = name;
  c.layers = "[layer.cg]\ntype = cg_conv\nchannels = 8\nkernel = 3\npad = 1\n" + keys +
             "[layer.relu]\ntype = relu\n[layer.conv]\ntype = conv\nchannels = 6\nkernel = 1\n";
  c.gates = {"cg"};
  c.dense = 11520 + 960;
  c.executed = [](const ReferenceGraph& graph, const Network& network) {
    return 11520 * (0.25 + 0.75 * density(graph, network, "cg")) + 960;
  };
  return c;
}

/// Bit operations: 8 bits of weights, 2 of 3 bits always; 32 x 32 for the last layer. 12 pixels.
CostCase precision_gating() {
  CostCase c;
  c.name = "bits";
  c.layers =
      "[layer.pg]\ntype = pg_conv\nchannels = 8\nkernel = 3\npad = 1\nweight_bits = 8\nactivation_bits = 3\n"
      "prediction_bits = 2\nalpha = 2\n[layer.relu]\ntype = relu\n[layer.conv]\ntype = conv\nchannels = 1\nkernel = "
      "1\n";
  c.gates = {"pg"};
  c.source = {2, 8, 3, 4};
  c.dense = 6912.0 * 8 * 3 + 96.0 * 1024;
  c.executed = [](const ReferenceGraph& graph, const Network& network) {
    return 6912 * 8 * (2 + density(graph, network, "pg")) + 96.0 * 1024;
  };
  return c;
}

/// a: 8 to 6, closed by one gate; b: 6 to 5 between two gates; 20 pixels. Saliencies: 8 x 6, and 6 x 5 behind the first
/// gate; and what the second gate leaves of 5 to 2.
CostCase channels() {
  CostCase c;
  c.name = "channels";
  c.layers =
      "[layer.a]\ntype = conv\nchannels = 6\nkernel = 1\n[layer.relu]\ntype = relu\n"
      "[layer.gate]\ntype = channel_gate\nfrom = relu, x\ninit_scale = 1\n"
      "[layer.b]\ntype = conv\nchannels = 5\nkernel = 3\npad = 1\n"
      "[layer.gate2]\ntype = channel_gate\nfrom = b, gate\ninit_scale = 1\nscale = none\n"
      "[layer.last]\ntype = conv\nchannels = 2\nkernel = 1\n";
  c.gates = {"gate.decision", "gate2.decision"};
  c.dense = 20 * 48 + 20 * 9 * 30 + 48 + 30 + 20 * 10;
  c.executed = [](const ReferenceGraph& graph, const Network& network) {
    const auto& first = graph.open[static_cast<std::size_t>(network.find("gate.decision"))];
    const auto& second = graph.open[static_cast<std::size_t>(network.find("gate2.decision"))];
    double sum = 0;
    for (std::size_t n = 0; n < first.size(); ++n)
      sum += 20 * 8 * first[n] + 20 * 9 * first[n] * second[n] + 48 + 5 * first[n] + 20 * 2 * second[n];
    return sum / static_cast<double>(first.size());
  };
  return c;
}

std::vector<CostCase> cost_cases() {
  return {channel_gating("elements", ""),
          channel_gating("sparse", "sparse_backprop = yes\nalpha = 1\n"),
          channel_gating("slices", "granularity = slice\n"),
          channel_gating("pixels", "granularity = pixel\nown_chunk = yes\n"),
          channel_gating("two_norms", "two_norms = yes\n"),
          channel_gating("whole_channels", "granularity = channel\n"),
          precision_gating(),
          channels()};
}

class CostTargets : public ::testing::TestWithParam<CostCase> {
 protected:
  CostTargets() {
    case_ = {"", "", {{"x", GetParam().source}}, GetParam().layers + kLoss};
    case_.types = register_gated_types;
    case_.references = gated_references();
    case_.prepare = clear_edges;
    built_ = std::make_unique<CaseNetwork>(case_.sources, case_.layers, case_.types);
    references_ = standard_references();
    references_.merge(gated_references());
    graph_ = std::make_unique<ReferenceGraph>(network(), references_);
  }

  Network& network() { return *built_->network; }

  void draw(bool bf16) {
    batch_ = fill(case_, *built_, 4, bf16);
    graph_->data = batch_.data;
    graph_->labels = batch_.label_array;
    graph_->load();
  }

  double share() { return GetParam().executed(*graph_, network()) / GetParam().dense; }
  double cost_loss() { return kPenalty * std::pow(share() - kTarget, 2); }

  /// d loss / d open of each decision, by differences of what is executed, which is linear in each.
  void set_diff_open() {
    const double factor = 2 * kPenalty * (share() - kTarget) / GetParam().dense;
    for (const std::string& gate : GetParam().gates) {
      const auto v = static_cast<std::size_t>(network().find(gate));
      graph_->diff_open[v].clear();
      for (double& open : graph_->open[v]) {
        const double before = GetParam().executed(*graph_, network());
        open += 1;
        graph_->diff_open[v].push_back(factor * (GetParam().executed(*graph_, network()) - before));
        open -= 1;
      }
    }
  }

  void compute_reference() {
    const std::vector<Array> buffers = graph_->buffers;
    graph_->forward(true);
    graph_->buffers = buffers;
    set_diff_open();
    graph_->backward();
  }

  LayerCase case_;
  std::unique_ptr<CaseNetwork> built_;
  ReferenceTable references_;
  std::unique_ptr<ReferenceGraph> graph_;
  CaseBatch batch_;
};

TEST_P(CostTargets, ReferenceHasTheGradientOfItsValue) {
  draw(false);
  compute_reference();
  const std::vector<Array> gradients = graph_->diff_params, buffers = graph_->buffers;
  graph_->held = true;
  const auto loss = [&] {
    graph_->buffers = buffers;
    graph_->forward(true);
    return graph_->loss() + cost_loss();
  };
  constexpr double kStep = 1e-5;
  for (std::size_t p = 0; p < gradients.size(); ++p) {
    const std::string path = network().parameters()[p].path();
    if (path == "x/value" && GetParam().name == "bits") continue;  // straight through a quantiser
    if (path == "pg/weight") continue;
    const std::int64_t stride = std::max<std::int64_t>(1, gradients[p].count() / 40);
    for (std::int64_t i = 0; i < gradients[p].count(); i += stride) {
      double& x = graph_->params[p][i];
      const double at = x;
      x = at + kStep;
      const double above = loss();
      x = at - kStep;
      const double below = loss();
      x = at;
      const double numeric = (above - below) / (2 * kStep), analytic = gradients[p][i];
      EXPECT_TRUE(std::abs(numeric - analytic) <= 2e-6 * std::max(1.0, std::abs(numeric)))
          << path << " at " << i << ": numeric " << numeric << ", reference " << analytic;
    }
  }
}

TEST_P(CostTargets, IsTheReferences) {
  for (const DataType type : {DataType::kF32, DataType::kBF16}) {
    if (type == DataType::kBF16 && !cpu_has_bf16()) continue;
    for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
      SCOPED_TRACE(concat(type == DataType::kF32 ? "fp32" : "bf16", layout == Layout::kNhwc ? ", nhwc" : ", blocked"));
      draw(type == DataType::kBF16);
      ExecutorOptions options;
      options.mode = Mode::kTraining;
      options.batch = built_->batch;
      options.layout = layout;
      options.type = type;
      Executor executor(network(), options);
      executor.set_batch(batch_.nhwc.data(), batch_.labels.data());
      executor.refresh();
      executor.forward();
      executor.forward();  // counts go on adding up, and the step's alone count
      executor.backward();
      graph_->rounded.clear();
      for (std::size_t v = 0; v < network().nodes().size() && type == DataType::kBF16; ++v) {
        const Tensor result = executor.result(static_cast<int>(v));
        graph_->rounded.push_back(result.data != nullptr && result.desc.type == DataType::kBF16);
      }
      compute_reference();
      ASSERT_GT(std::abs(share() - kTarget), 0.02) << "the case says little";
      EXPECT_NEAR(executor.auxiliary_losses().at(0), cost_loss(), 1e-9);
      EXPECT_NEAR(executor.loss(), executor.data_loss() + cost_loss(), 1e-9);
      for (std::size_t p = 0; p < network().parameters().size(); ++p) {
        const Parameter& parameter = network().parameters()[p];
        EXPECT_TRUE(is_close(to_array(parameter.shape, executor.gradients() + parameter.offset), graph_->diff_params[p],
                             type == DataType::kF32 ? 5e-6 : 1.0 / 64))
            << parameter.path();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, CostTargets, ::testing::ValuesIn(cost_cases()),
                         [](const auto& test) { return test.param.name; });

/// A network of one cg_conv (1728 multiply-adds) and a classifier (6), all gates open.
struct Ramp {
  explicit Ramp(const std::string& keys)
      : built(
            "[network]\ninput = 4x4x4\n[layer.cg]\ntype = cg_conv\nchannels = 3\nkernel = 3\npad = 1\npartitions = 4\n"
            "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 2\n"
            "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n[gating_loss]\nform = cost\n" +
            keys) {
    built.network->initialise(1);
    for (const Parameter& p : built.network->parameters()) {
      if (p.group == "threshold") std::fill_n(built.network->parameter_data() + p.offset, p.shape.count(), -100.0F);
    }
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = 2;
    executor = std::make_unique<Executor>(*built.network, options);
    const std::vector<float> images(128, 1.0F);
    const std::vector<std::int32_t> labels = {0, 1};
    executor->set_batch(images.data(), labels.data());
    executor->refresh();
  }
  double loss_after(double epochs) {
    executor->set_epochs(epochs);
    executor->forward();
    return executor->auxiliary_losses().at(0);
  }

  GatedNetwork built;
  std::unique_ptr<Executor> executor;
};

TEST(CostTarget, FallsFromAllOpen) {
  Ramp ramp("cost_target = 0.5\nramp_epochs = 4\ncost_penalty = 2\n");
  EXPECT_EQ(ramp.loss_after(0), 0) << "all are open, and may be";
  EXPECT_DOUBLE_EQ(ramp.loss_after(1), 2 * 0.125 * 0.125);
  EXPECT_DOUBLE_EQ(ramp.loss_after(4), 2 * 0.25);
  EXPECT_DOUBLE_EQ(ramp.loss_after(17), 2 * 0.25);
}

/// Of Ramp's network, with so many of 100 gates open.
CountsByNode counts_with_open(const Ramp& ramp, std::int64_t open) {
  const Network& network = *ramp.built.network;
  CountsByNode counts = ramp.executor->statistics().counts_by_node();
  const auto gated = static_cast<std::size_t>(network.find("cg"));
  const std::vector<Statistic>& declared = network.nodes()[gated].declared.counts;
  counts[gated][static_cast<std::size_t>(find_role(declared, Role::kOpen))] = open;
  counts[gated][static_cast<std::size_t>(find_role(declared, Role::kTotal))] = 100;
  return counts;
}

/// A quarter of 1728 multiply-adds is always done, and 6 more.
double share_with_open(double open) {
  return (432 + 1296 * open / 100 + 6) / 1734;
}

TEST(CostTarget, MeansWhatValidationImagesCost) {
  Ramp ramp("cost_target = 0.5\nramp_epochs = 4\ncost_penalty = 2\n");
  AuxiliaryLoss& loss = *ramp.built.network->auxiliary_losses().at(0).second;
  EXPECT_TRUE(loss.memory().empty());
  loss.compare(*ramp.built.network, 0, counts_with_open(ramp, 40), counts_with_open(ramp, 60));
  const double gap = share_with_open(60) - share_with_open(40);
  EXPECT_DOUBLE_EQ(loss.memory().at("gap"), gap);
  EXPECT_EQ(ramp.loss_after(0), 0) << "more than everything cannot be wanted";
  EXPECT_NEAR(ramp.loss_after(2), 2 * std::pow(0.25 - gap, 2), 1e-15);
  EXPECT_NEAR(ramp.loss_after(9), 2 * std::pow(0.5 - gap, 2), 1e-15);
  loss.compare(*ramp.built.network, 0, counts_with_open(ramp, 60), counts_with_open(ramp, 40));
  EXPECT_NEAR(ramp.loss_after(9), 2 * std::pow(0.5 + gap, 2), 1e-15) << "the last comparison alone counts";
  loss.set_memory({});
  EXPECT_DOUBLE_EQ(ramp.loss_after(9), 2 * 0.25);
}

/// Behind the ramp; what the other losses pull is not known.
TEST(CostTarget, WantsLessAsLongAsValidationImagesCostMore) {
  Ramp ramp("cost_target = 0.5\nramp_epochs = 4\ncost_penalty = 2\n");
  AuxiliaryLoss& loss = *ramp.built.network->auxiliary_losses().at(0).second;
  const auto evaluated_at = [&](double epochs, std::int64_t open) {
    loss.compare(*ramp.built.network, epochs, counts_with_open(ramp, open), counts_with_open(ramp, open));
  };
  const double miss = share_with_open(50) - 0.5;
  evaluated_at(2, 90);
  evaluated_at(4, 50);
  EXPECT_EQ(loss.memory().at("missed"), 0) << "more than cost_target was wanted until then";
  evaluated_at(5, 50);
  EXPECT_NEAR(loss.memory().at("missed"), 0.3 * miss, 1e-15);
  evaluated_at(5.5, 50);
  EXPECT_NEAR(loss.memory().at("missed"), 0.45 * miss, 1e-15) << "half an epoch";
  evaluated_at(15.5, 50);
  EXPECT_NEAR(loss.memory().at("missed"), 0.75 * miss, 1e-15) << "no more than of one epoch at once";
  EXPECT_NEAR(ramp.loss_after(16), 2 * std::pow(0.5 + 0.75 * miss, 2), 1e-14);
  const std::map<std::string, double> memory = loss.memory();
  loss.set_memory({{"gap", 0.0}});
  EXPECT_NEAR(ramp.loss_after(16), 2 * 0.25, 1e-15) << "of an older file";
  loss.set_memory(memory);
  EXPECT_EQ(loss.memory(), memory);
  evaluated_at(16.5, 40);
  EXPECT_NEAR(loss.memory().at("missed"), 0.75 * miss + 0.3 * (share_with_open(40) - 0.5), 1e-15);
}

TEST(CostTarget, WantsNoLessThanGatesCanDoWithHoweverLongItIsMissed) {
  Ramp ramp("cost_target = 0.5\nramp_epochs = 0\ncost_penalty = 2\n");
  AuxiliaryLoss& loss = *ramp.built.network->auxiliary_losses().at(0).second;
  for (int epoch = 1; epoch < 20; ++epoch)
    loss.compare(*ramp.built.network, epoch, counts_with_open(ramp, 100), counts_with_open(ramp, 100));
  EXPECT_NEAR(loss.memory().at("missed"), 0.5 - share_with_open(0), 1e-15);
  EXPECT_NEAR(ramp.loss_after(20), 2 * std::pow(1 - share_with_open(0), 2), 1e-15);
}

TEST(CostTarget, WantsNothingThatGatesCannotReach) {
  Ramp ramp("cost_target = 0.5\nramp_epochs = 0\ncost_penalty = 2\n");
  AuxiliaryLoss& loss = *ramp.built.network->auxiliary_losses().at(0).second;
  loss.compare(*ramp.built.network, 0, counts_with_open(ramp, 0), counts_with_open(ramp, 100));
  EXPECT_EQ(ramp.loss_after(0), 0) << "all are open";
  loss.compare(*ramp.built.network, 0, counts_with_open(ramp, 100), counts_with_open(ramp, 0));
  EXPECT_NEAR(ramp.loss_after(0), 2 * std::pow(1 - share_with_open(0), 2), 1e-15);
}

TEST(CostTarget, RefusesWhatGatesCannotReach) {
  try {
    const Ramp ramp("cost_target = 0.2\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(),
                 "net.ini:19: [gating_loss] cost_target: the network costs 0.253 with every gate closed, which is not "
                 "below 0.2; raise cost_target, gate more layers, or leave less to what is always done");
  }
}

}  // namespace
}  // namespace sluice
