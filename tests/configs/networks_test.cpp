// The networks that are shipped: shapes, costs and names, against numbers from the papers and formulas written here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/config/compare.hpp"
#include "core/graph/executor.hpp"
#include "core/graph/layer_table.hpp"
#include "core/train/experiment.hpp"
#include "tests/configs/shipped.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

/// Learned numbers and multiply-adds, layer by layer.
struct Tally {
  std::int64_t learned = 0, macs = 0;

  void conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t pixels, std::int64_t groups = 1) {
    learned += in / groups * out * kernel * kernel;
    macs += in / groups * out * kernel * kernel * pixels;
  }
  void norm(std::int64_t channels) { learned += 2 * channels; }
  void linear(std::int64_t in, std::int64_t out) {
    learned += (in + 1) * out;
    macs += in * out;
  }
};

/// Residual network with `blocks[s]` blocks of width * 2^s channels on (32 / 2^s)^2 pixels in stage s.
Tally residual(std::int64_t width, const std::vector<std::int64_t>& blocks, bool projection) {
  Tally t;
  t.conv(3, width, 3, 32 * 32);
  t.norm(width);
  std::int64_t in = width, out = width, side = 32;
  for (std::size_t s = 0; s < blocks.size(); ++s) {
    for (std::int64_t b = 0; b < blocks[s]; ++b) {
      t.conv(in, out, 3, side * side);
      t.conv(out, out, 3, side * side);
      t.norm(2 * out);
      if (in != out && projection) {
        t.conv(in, out, 1, side * side);
        t.norm(out);
      }
      in = out;
    }
    if (s + 1 == blocks.size()) break;
    out *= 2;
    side /= 2;
  }
  t.linear(out, 10);
  return t;
}

void expect_tally(const Shipped& net, const Tally& tally) {
  EXPECT_EQ(net.learned(), tally.learned);
  EXPECT_EQ(net.macs(), tally.macs);
}

TEST(Resnet20, IsTheOneOfThePaper) {
  const Shipped net("resnet20.ini");
  EXPECT_EQ(net.learned(), 269722);  // "0.27 M" in the paper
  expect_tally(net, residual(16, {3, 3, 3}, false));
  EXPECT_EQ(net.shape("layer1.2.relu2"), (Shape{1, 16, 32, 32}));
  EXPECT_EQ(net.shape("layer2.0.conv1"), (Shape{1, 32, 16, 16}));
  EXPECT_EQ(net.shape("layer2.2.relu2"), (Shape{1, 32, 16, 16}));
  EXPECT_EQ(net.shape("layer3.2.relu2"), (Shape{1, 64, 8, 8}));
  EXPECT_EQ(net.shape("linear"), (Shape{1, 10}));
}

TEST(Resnet20, GrowsByOneNumber) {
  const std::pair<int, std::int64_t> paper[] = {{5, 464154}, {7, 658586}, {9, 853018}, {18, 1727962}};
  for (const auto& [blocks, learned] : paper) {
    SCOPED_TRACE(6 * blocks + 2);
    const Shipped net("resnet20.ini", {concat("--define.blocks=", blocks)});
    EXPECT_EQ(net.learned(), learned);
    expect_tally(net, residual(16, {blocks, blocks, blocks}, false));
    EXPECT_EQ(net.shape(concat("layer3.", blocks - 1, ".relu2")), (Shape{1, 64, 8, 8}));
    EXPECT_EQ(net.shape(concat("layer3.", blocks, ".relu2")), Shape{});
    std::int64_t weighted = 0;  // a depth of 6 blocks + 2 counts convolutions and the linear layer
    for (const Node& node : net.network->nodes()) weighted += node.type == "conv" || node.type == "linear" ? 1 : 0;
    EXPECT_EQ(weighted, 6 * blocks + 2);
  }
}

TEST(Resnet20, GrowsInWidthAndTakesProjections) {
  expect_tally(Shipped("resnet20.ini", {"--define.width=48"}), residual(48, {3, 3, 3}, false));
  const Shipped net("resnet20.ini", {"--define.shortcut=projection"});
  expect_tally(net, residual(16, {3, 3, 3}, true));
  EXPECT_THAT(net.names(),
              IsSupersetOf({"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.weight", "layer3.0.shortcut.1.bias"}));
}

/// `shortcut`: the name of the projections, if there are any.
std::set<std::string> residual_names(const std::vector<int>& blocks, const std::string& head,
                                     const std::string& shortcut) {
  std::set<std::string> names = {"conv1.weight", "bn1.weight", "bn1.bias", head + ".weight", head + ".bias"};
  for (std::size_t s = 0; s < blocks.size(); ++s) {
    for (int b = 0; b < blocks[s]; ++b) {
      const std::string block = concat("layer", s + 1, ".", b, ".");
      for (const char* name : {"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"})
        names.insert(block + name);
      if (s == 0 || b > 0 || shortcut.empty()) continue;
      for (const char* name : {".0.weight", ".1.weight", ".1.bias"}) names.insert(block + shortcut + name);
    }
  }
  return names;
}

// What a block is left out for grows with its depth; inference computes nothing for it.
TEST(Residual, StochasticDepthGrowsWithTheDepth) {
  const std::vector<std::tuple<std::string, std::vector<std::string>, int>> networks = {
      {"resnet20.ini", {}, 9},
      {"resnet20.ini", {"--define.block=postact", "--define.blocks=5"}, 15},
      {"resnet20.ini", {"--define.block=two_norms"}, 9},
      {"resnet18.ini", {}, 8},
      {"resnet34.ini", {}, 16},
      {"resnet50.ini", {}, 16}};
  for (auto [file, overrides, blocks] : networks) {
    SCOPED_TRACE(file);
    const Shipped plain(file, overrides);
    overrides.insert(overrides.end(), {"--define.stochastic_depth=yes", "--type.stochastic_depth.rate=0.4"});
    const Shipped net(file, overrides);
    EXPECT_EQ(net.names(), plain.names());
    std::vector<double> rates;
    for (const Node& node : net.network->nodes()) {
      if (node.type == "stochastic_depth") rates.push_back(*node.layer->attributes().get<double>("rate"));
    }
    ASSERT_EQ(rates.size(), static_cast<std::size_t>(blocks));
    for (int i = 0; i < blocks; ++i) EXPECT_NEAR(rates[static_cast<std::size_t>(i)], 0.4 * (i + 1) / blocks, 1e-12);
    EXPECT_EQ(net.network->nodes().size(), plain.network->nodes().size() + rates.size());
  }
  const Shipped net("resnet20.ini", {"--define.stochastic_depth=yes"});
  ExecutorOptions options;
  options.batch = 1;
  const Executor executor(*net.network, options);
  for (const OperationInfo& operation : executor.operations()) EXPECT_NE(operation.type, "stochastic_depth");
}

TEST(Resnet20, HasTheNamesOfPyTorch) {
  EXPECT_EQ(Shipped("resnet20.ini").names(), residual_names({3, 3, 3}, "linear", ""));
}

TEST(Resnet20, SharesOneBoundInABlock) {
  const Shipped net("resnet20.ini", {"--define.activation=pact_relu"});
  EXPECT_EQ(net.learned(), 269722 + 10);
  std::vector<std::string> users;
  for (const Parameter& p : net.network->parameters()) {
    if (p.layer == "layer2.1.relu") users = p.users;
  }
  EXPECT_THAT(users, ElementsAre("layer2.1.relu", "layer2.1.relu2"));
}

// Each convolution has a second normalisation, an activation with three numbers for each channel, and thresholds.
TEST(Resnet20OneBit, IsTheOneWithDoubleNorms) {
  const Shipped net("resnet20_onebit.ini"), plain("resnet20.ini");
  EXPECT_EQ(net.macs(), plain.macs());
  EXPECT_EQ(net.learned(), plain.learned() + 3 * (16 + 32 + 64) * 2 * (2 + 3 + 1));
  EXPECT_EQ(net.shape("layer2.0.shortcut.repeat"), (Shape{1, 32, 16, 16}));
  for (const Node& node : net.network->nodes()) {
    if (node.type != "pg_conv") continue;
    const Attributes attributes = node.layer->attributes();
    EXPECT_EQ(attributes.get<std::int64_t>("weight_bits"), 1);
    EXPECT_EQ(attributes.get<std::int64_t>("activation_bits"), 2);
    EXPECT_EQ(attributes.get<std::int64_t>("prediction_bits"), 1);
    EXPECT_EQ(attributes.get<bool>("bipolar_source"), true);
    EXPECT_EQ(attributes.get<double>("weight_clip"), 1.3);
  }
}

TEST(Resnet18, IsTheUsualOneFor32x32) {
  const Shipped net("resnet18.ini");
  EXPECT_EQ(net.learned(), 11173962);
  EXPECT_EQ(net.macs(), 555422720);
  expect_tally(net, residual(64, {2, 2, 2, 2}, true));
  EXPECT_EQ(net.names(), residual_names({2, 2, 2, 2}, "fc", "downsample"));
  EXPECT_EQ(net.shape("layer4.1.relu2"), (Shape{1, 512, 4, 4}));
}

TEST(Resnet18, ChangesWidthDepthAndShortcut) {
  expect_tally(Shipped("resnet18.ini", {"--define.width=16"}), residual(16, {2, 2, 2, 2}, true));
  expect_tally(Shipped("resnet18.ini", {"--define.shortcut=pad"}), residual(64, {2, 2, 2, 2}, false));
  const Shipped deep("resnet18.ini",
                     {"--define.blocks1=3", "--define.blocks2=4", "--define.blocks3=6", "--define.blocks4=3"});
  EXPECT_EQ(deep.learned(), 21282122);  // ResNet-34
  expect_tally(deep, residual(64, {3, 4, 6, 3}, true));
}

Tally vgg(std::int64_t width, bool bias) {
  Tally t;
  std::int64_t in = 3, side = 32;
  for (const std::vector<std::int64_t>& stage :
       std::vector<std::vector<std::int64_t>>{{1, 1}, {2, 2}, {4, 4, 4}, {8, 8, 8}, {8, 8, 8}}) {
    for (const std::int64_t factor : stage) {
      const std::int64_t out = factor * width;
      t.conv(in, out, 3, side * side);
      t.norm(out);
      t.learned += bias ? out : 0;
      in = out;
    }
    side /= 2;
  }
  t.linear(in, 10);
  return t;
}

TEST(Vgg16, IsTheUsualOneForCifar) {
  const Shipped net("vgg16.ini");
  EXPECT_EQ(net.learned(), 14728266);
  EXPECT_EQ(net.macs(), 313201664);
  expect_tally(net, vgg(64, true));
  EXPECT_EQ(net.shape("features.0"), (Shape{1, 64, 32, 32}));
  EXPECT_EQ(net.shape("features.43"), (Shape{1, 512, 1, 1}));
  expect_tally(Shipped("vgg16.ini", {"--define.width=16"}), vgg(16, true));
  expect_tally(Shipped("vgg16.ini", {"--type.conv.bias=no"}), vgg(64, false));
}

TEST(Vgg16, HasTheNamesOfPyTorch) {
  std::set<std::string> names = {"classifier.weight", "classifier.bias"};
  for (int conv : {0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40}) {
    for (int i : {conv, conv + 1}) {  // its batch normalisation follows
      names.insert(concat("features.", i, ".weight"));
      names.insert(concat("features.", i, ".bias"));
    }
  }
  const Shipped net("vgg16.ini");
  EXPECT_EQ(net.names(), names);
  for (int pool : {6, 13, 23, 33, 43}) {
    const int node = net.network->find(concat("features.", pool));
    ASSERT_GE(node, 0);
    EXPECT_EQ(net.network->nodes()[static_cast<std::size_t>(node)].type, "max_pool");
  }
}

Tally mobilenet(std::int64_t width) {
  Tally t;
  std::int64_t side = 32, in = width;
  t.conv(3, width, 3, side * side);
  t.norm(width);
  const std::pair<std::int64_t, std::int64_t> blocks[] = {{2, 1},  {4, 2},  {4, 1},  {8, 2},  {8, 1},  {16, 2}, {16, 1},
                                                          {16, 1}, {16, 1}, {16, 1}, {16, 1}, {32, 2}, {32, 1}};
  for (const auto& [factor, stride] : blocks) {
    side /= stride;
    t.conv(in, in, 3, side * side, in);
    t.norm(in);
    t.conv(in, factor * width, 1, side * side);
    in = factor * width;
    t.norm(in);
  }
  t.linear(in, 10);
  return t;
}

TEST(MobilenetV1, IsTheUsualOneForCifar) {
  const Shipped net("mobilenetv1.ini");
  EXPECT_EQ(net.learned(), 3217226);
  expect_tally(net, mobilenet(32));
  EXPECT_EQ(net.shape("layers.12.relu2"), (Shape{1, 1024, 2, 2}));
  expect_tally(Shipped("mobilenetv1.ini", {"--define.width=8"}), mobilenet(8));
  expect_tally(Shipped("mobilenetv1.ini", {"--define.width=24"}), mobilenet(24));
}

TEST(MobilenetV1, HasTheNamesOfPyTorch) {
  std::set<std::string> names = {"conv1.weight", "bn1.weight", "bn1.bias", "linear.weight", "linear.bias"};
  for (int b = 0; b < 13; ++b) {
    for (const char* name : {"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"})
      names.insert(concat("layers.", b, ".", name));
  }
  const Shipped net("mobilenetv1.ini");
  EXPECT_EQ(net.names(), names);
  std::map<std::string, Shape> shapes;
  for (const Parameter& p : net.network->parameters()) shapes[p.path()] = p.shape;
  EXPECT_EQ(shapes["layers.5.conv1/weight"], (Shape{256, 1, 3, 3}));
  EXPECT_EQ(shapes["layers.5.conv2/weight"], (Shape{512, 256, 1, 1}));
}

TEST(Lenet, IsTheOneOfThePaper) {
  const Shipped net("lenet.ini");
  EXPECT_EQ(net.learned(), 61706);
  EXPECT_EQ(net.macs(), 6 * 25 * 784 + 16 * 6 * 25 * 100 + 400 * 120 + 120 * 84 + 84 * 10);
  EXPECT_THAT(net.names(), ElementsAre("conv1.bias", "conv1.weight", "conv2.bias", "conv2.weight", "fc1.bias",
                                       "fc1.weight", "fc2.bias", "fc2.weight", "fc3.bias", "fc3.weight"));
  EXPECT_EQ(net.shape("pool2"), (Shape{1, 16, 5, 5}));
  EXPECT_EQ(Shipped("lenet.ini", {"--define.pool=average_pool"}).learned(), 61706);
}

/// Runs a step of training and one of inference with random images.
void expect_runs(const std::string& file, const std::vector<std::string>& overrides) {
  SCOPED_TRACE(file);
  const Shipped net(file, overrides);
  constexpr std::int64_t kBatch = 3;
  net.network->initialise(1);
  Random random(1, Purpose::kTest);
  std::vector<float> images(static_cast<std::size_t>(net.network->input_shape(kBatch).count()));
  for (float& x : images) x = static_cast<float>(random.normal());
  const std::vector<std::int32_t> labels = {1, 9, 4};
  using Layout = ExecutorOptions::LayoutChoice;
  for (const auto& [mode, layout] :
       {std::pair(Mode::kTraining, Layout::kAuto), std::pair(Mode::kTraining, Layout::kNhwc),
        std::pair(Mode::kInference, Layout::kAuto)}) {
    ExecutorOptions options;
    options.layout = layout;
    options.mode = mode;
    options.batch = kBatch;
    Executor executor(*net.network, options);
    if (cpu_isa() >= Isa::kAvx2) {
      EXPECT_THAT(slow_kernels(executor), IsEmpty());
    }
    executor.set_batch(images.data(), labels.data());
    executor.refresh();
    executor.forward();
    EXPECT_EQ(executor.find_non_finite(0), "");
    const double most = mode == Mode::kTraining ? 100 : 1e4;  // values grow with depth before statistics are measured
    EXPECT_TRUE(executor.loss() > 0.01 && executor.loss() < most) << executor.loss();
    if (mode == Mode::kInference) continue;
    executor.backward();
    for (const Parameter& p : net.network->parameters()) {
      double norm = 0;
      for (std::int64_t i = 0; i < p.shape.count(); ++i)
        norm += std::abs(static_cast<double>(executor.gradients()[p.offset + i]));
      EXPECT_TRUE(norm > 0 && std::isfinite(norm)) << "gradient of " << p.path() << ": " << norm;
    }
  }
}

using Overrides = std::vector<std::string>;

/// Every shipped network, as small as shows it all.
const std::map<std::string, std::vector<Overrides>> kRuns = {
    {"resnet20.ini",
     {{},
      {"--define.activation=pact_relu", "--define.shortcut=projection", "--define.blocks=1",
       "--type.pact_relu.init=0.5"}}},
    {"resnet20_channels.ini", {{"--define.blocks=1"}, {"--define.width=12", "--define.shortcut=projection"}}},
    {"resnet20_onebit.ini",
     {{"--define.blocks=1"}, {"--define.width=12", "--define.blocks=1", "--define.weight_bits=0"}}},
    {"resnet18.ini",
     {{"--define.width=16"},
      {"--define.width=12", "--define.shortcut=pad"},
      {"--define.width=8", "--define.stem=224", "--define.image=64"}}},
    {"resnet34.ini", {{"--define.width=8", "--define.stem=224", "--define.image=64"}}},
    {"resnet50.ini",
     {{"--define.width=8"},
      {"--define.width=8", "--define.stem=224", "--define.image=64"},
      {"--define.width=4", "--define.activation=pact_relu", "--type.pact_relu.init=0.5"}}},
    {"resnet101.ini", {{"--define.width=4"}}},
    {"vgg11.ini", {{"--define.width=8"}}},
    {"vgg11_plain.ini", {{"--define.width=16"}, {"--define.width=4", "--define.stem=224"}}},
    {"vgg16.ini", {{"--define.width=16"}, {"--define.width=4", "--define.stem=224"}}},
    {"vgg16_plain.ini", {{"--define.width=16"}}},
    {"mobilenetv1.ini",
     {{"--define.width=8"}, {"--define.width=16"}, {"--define.width=8", "--define.stem=224", "--define.image=64"}}},
    {"mobilenetv2.ini",
     {{"--define.width=4"},
      {"--define.width=8", "--define.stem=224", "--define.image=64"},
      {"--define.width=4", "--define.activation=pact_relu", "--type.pact_relu.init=0.5"}}},
    {"shufflenetv2.ini",
     {{"--define.width=32", "--define.last=64"},
      {"--define.width=48", "--define.last=64", "--define.stem=224", "--define.image=64"}}},
    {"lenet.ini", {{}, {"--define.pool=average_pool"}}}};

class ShippedNetwork : public testing::TestWithParam<std::string> {};

TEST_P(ShippedNetwork, Runs) {
  ASSERT_EQ(kRuns.count(GetParam()), 1U) << "say above how it is run";
  for (const Overrides& overrides : kRuns.at(GetParam())) expect_runs(GetParam(), overrides);
}

/// A run keeps the resolved configuration.
TEST_P(ShippedNetwork, MakesTheRoundTrip) {
  const Registry types = shipped_types();
  const std::string file = std::string(SLUICE_SOURCE_DIR) + "/configs/networks/" + GetParam();
  const Experiment experiment(Config::load({file}, {"--data.kind=synthetic"}), types);
  const Experiment again(Config::parse(experiment.config.resolved(), "resolved.ini"), types);
  EXPECT_THAT(compare(experiment.config, again.config), IsEmpty());
  EXPECT_GT(again.network().parameters().size(), 0U);
}

bool defines(const std::string& file, const std::string& name) {
  Config config = Config::load({std::string(SLUICE_SOURCE_DIR) + "/configs/networks/" + file},
                               {concat("--define.", name, "=conv")});
  return !config.diagnostics().has_errors();  // nothing would use it
}

/// Each definition NAME_conv takes the gated and the quantised types, but for depthwise convolutions. Some are of a
/// block or a shortcut that is not the default.
TEST_P(ShippedNetwork, TakesGatesByDefinition) {
  std::vector<std::string> names;
  for (const char* name : {"gated_conv", "second_conv", "pointwise_conv", "narrowing_conv", "projection_conv"}) {
    if (defines(GetParam(), name)) names.push_back(name);
  }
  if (GetParam() != "lenet.ini") {
    EXPECT_THAT(names, testing::Contains("gated_conv"));
  }
  for (const char* type : {"cg_conv", "pg_conv", "quantized_conv"}) {
    for (const std::string& name : names) {
      SCOPED_TRACE(concat(name, " = ", type));
      Overrides overrides = kRuns.at(GetParam()).front();
      overrides.push_back(concat("--define.", name, "=", type));
      const Shipped net(GetParam(), overrides);
      const std::vector<Node>& nodes = net.network->nodes();
      const bool made = std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) { return node.type == type; });
      EXPECT_TRUE(made || name != "gated_conv");
    }
  }
}

std::vector<std::string> shipped_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(SLUICE_SOURCE_DIR) + "/configs/networks"))
    files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  return files;
}

INSTANTIATE_TEST_SUITE_P(Networks, ShippedNetwork, testing::ValuesIn(shipped_files()),
                         [](const auto& file) { return file.param.substr(0, file.param.find('.')); });

}  // namespace
}  // namespace sluice
