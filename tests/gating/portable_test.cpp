// Layers as standard operators: computed operator by operator, they give the network's own answers and decisions.
#include "core/graph/portable.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "tests/core/graph/networks.hpp"
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/portable_run.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 5;

/// A network of a few layers, after some steps in which its statistics moved.
struct PortableCase {
  const char* name;
  const char* layers;
  double tolerance = 1e-5;
};

void PrintTo(const PortableCase& c, std::ostream* out) {
  *out << c.name;
}

class Measured {
 public:
  explicit Measured(const std::string& layers)
      : gated_("[network]\ninput = 8x9x7\n" + layers), batch_(*gated_.network, kImages, 2, 3) {
    Network& network = *gated_.network;
    network.initialise(7);
    ExecutorOptions options = options_of(Mode::kTraining, kImages);
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    Executor training(network, options);
    for (std::uint64_t step = 0; step < 4; ++step) {
      batch_.give(training);
      training.refresh();
      training.forward(step);
    }
  }

  Network& network() { return *gated_.network; }

  ExecutorOptions inference() const {
    ExecutorOptions options = options_of(Mode::kInference, kImages);
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    options.skip = false;
    return options;
  }

  /// In int8, as after sluice-deploy.
  ExecutorOptions int8() {
    ExecutorOptions options = inference();
    options.skip = true;
    Executor executor(network(), options);
    batch_.give(executor);
    executor.refresh();
    executor.forward();
    network().set_calibration({executor.largest_sources()});
    options.int8 = true;
    return options;
  }

  Array answer(const ExecutorOptions& options) {
    Executor executor(network(), options);
    batch_.give(executor);
    executor.refresh();
    executor.forward();
    open_ = 0;
    for (int node = 0; node < static_cast<int>(network().nodes().size()); ++node) {
      const int open = find_role(network().nodes()[static_cast<std::size_t>(node)].declared.counts, Role::kOpen);
      if (open >= 0) open_ += executor.counts(node)[open];
    }
    return to_array(executor.logits());
  }

  /// Gates that were open for the last answer.
  std::int64_t open() const { return open_; }

  std::map<std::string, Array> run(const PortableGraph& graph) const {
    Array images(gated_.network->input_shape(kImages));
    const Shape& s = images.shape;
    for (std::int64_t i = 0; i < images.count(); ++i) {
      const std::int64_t x = i % s[kW], y = i / s[kW] % s[kH], c = i / s[kW] / s[kH] % s[kC],
                         n = i / s[kW] / s[kH] / s[kC];
      images[i] = static_cast<double>(batch_.data[static_cast<std::size_t>(((n * s[kH] + y) * s[kW] + x) * s[kC] + c)]);
    }
    return run_portable(graph, images);
  }

 private:
  GatedNetwork gated_;
  Batch batch_;
  std::int64_t open_ = 0;
};

/// Decisions of the first granularity alone stand for one output each.
std::int64_t open_in(const std::map<std::string, Array>& values) {
  double open = 0;
  for (const auto& [name, value] : values) {
    if (name.size() < 5 || name.compare(name.size() - 5, 5, "/open") != 0) continue;
    const Array& result = values.at(name.substr(0, name.size() - 5));
    const double each = static_cast<double>(result.count()) / static_cast<double>(value.count());
    for (double v : value.values) open += v * each;
  }
  return static_cast<std::int64_t>(open);
}

class Portable : public ::testing::TestWithParam<PortableCase> {};

TEST_P(Portable, GivesTheNetworksAnswers) {
  Measured measured(GetParam().layers);
  for (bool fold : {false, true}) {
    PortableOptions options;
    options.fold = fold;
    options.executor = measured.inference();
    const PortableGraph graph = portable_graph(measured.network(), options);
    const std::map<std::string, Array> values = measured.run(graph);
    const Array answer = measured.answer(options.executor);
    EXPECT_TRUE(is_close(values.at(graph.answer()), answer, GetParam().tolerance)) << (fold ? "folded" : "");
    EXPECT_EQ(open_in(values), measured.open());
    Shape shape = graph.answer_shape();
    EXPECT_EQ(shape.count() * kImages, answer.count());
  }
}

constexpr const char kConv[] = "[layer.conv]\ntype = conv\nchannels = 8\nkernel = 3\npad = 1\n";

INSTANTIATE_TEST_SUITE_P(
    Layers, Portable,
    ::testing::Values(
        PortableCase{
            "convolutions",
            "[layer.a]\ntype = conv\nchannels = 12\nkernel = 3\nstride = 2\npad = 2\ndilation = 2\ngroups = 4\n"
            "bias = yes\n[layer.b]\ntype = batchnorm\naffine = no\n[layer.c]\ntype = clip\nlow = -0.5\n"
            "high = 1\n[layer.d]\ntype = conv\nchannels = 4\nkernel = 1\n[layer.e]\ntype = batchnorm\n"},
        PortableCase{"pools",
                     "[layer.a]\ntype = max_pool\nkernel = 3\nstride = 2\npad = 1\nceil_mode = yes\nfrom = data\n"
                     "[layer.b]\ntype = average_pool\nkernel = 3\nstride = 2\npad = 1\nceil_mode = yes\nfrom = data\n"
                     "[layer.c]\ntype = average_pool\nkernel = 3\nstride = 2\npad = 1\ncount_include_pad = no\n"
                     "ceil_mode = yes\nfrom = data\n[layer.d]\ntype = concat\nfrom = a, b, c\n[layer.e]\n"
                     "type = dropout\n[layer.f]\ntype = flatten\n[layer.g]\ntype = linear\nfeatures = 3\nbias = no\n"},
        PortableCase{"residual",
                     "[layer.a]\ntype = conv\nchannels = 12\nkernel = 3\nstride = 2\npad = 1\n[layer.b]\n"
                     "type = batchnorm\n[layer.c]\ntype = pad_shortcut\nchannels = 12\nstride = 2\nfrom = data\n"
                     "[layer.d]\ntype = add\nfrom = b, c\n[layer.e]\ntype = pact_relu\ninit = 1.5\n[layer.f]\n"
                     "type = shortcut\nkind = projection\nchannels = 4\n[layer.g]\ntype = global_pool\n[layer.h]\n"
                     "type = linear\nfeatures = 3\n"},
        PortableCase{"activations",
                     "[layer.a]\ntype = leaky_relu\nslope = 0.2\n[layer.b]\ntype = hard_swish\n[layer.c]\n"
                     "type = silu\n[layer.d]\ntype = multiply\nfrom = c, a\n[layer.e]\ntype = global_pool\n"
                     "[layer.f]\ntype = linear\nfeatures = 8\n[layer.g]\ntype = hard_sigmoid\n[layer.h]\n"
                     "type = sigmoid\nfrom = f\n[layer.i]\ntype = multiply\nfrom = d, g\n[layer.j]\n"
                     "type = multiply\nfrom = i, h\n"},
        PortableCase{"one_bit",
                     "[layer.a]\ntype = quantized_conv\nchannels = 8\nkernel = 3\npad = 1\nweight_bits = 1\n"
                     "activation_bits = 2\nactivation_levels = bipolar\n[layer.b]\ntype = batchnorm\n[layer.c]\n"
                     "type = rprelu\n[layer.d]\ntype = shortcut\nkind = repeat\nchannels = 16\nstride = 2\n"},
        PortableCase{
            "parts_of_channels",
            "[layer.a]\ntype = channel_shuffle\ngroups = 4\n[layer.b]\ntype = split\nparts = 4\n[layer.c]\n"
            "type = relu\nfrom = b:third\n[layer.d]\ntype = concat\nfrom = b:fourth, c, b:second\n[layer.e]\n"
            "type = pad_shortcut\nchannels = 8\nstride = 1\n[layer.f]\ntype = max_pool\nkernel = 3\n[layer.g]\n"
            "type = split\n[layer.h]\ntype = global_pool\nfrom = g:second\n"},
        PortableCase{"zeros_around",
                     "[layer.a]\ntype = zero_pad\ntop = 1\nleft = 2\nright = 3\n[layer.b]\ntype = conv\nchannels = 4\n"
                     "kernel = 3\nstride = 2\n[layer.c]\ntype = zero_pad\nbottom = 2\n"},
        PortableCase{"adaptive",
                     "[layer.a]\ntype = max_pool\nkernel = 4\nstride = 1\n[layer.b]\n"
                     "type = adaptive_average_pool\nsize = 2\n"},
        PortableCase{"quantized",
                     "[layer.a]\ntype = quantized_conv\nchannels = 8\nkernel = 3\nbias = yes\n[layer.b]\ntype = relu\n"
                     "[layer.c]\ntype = quantized_conv\nchannels = 8\nkernel = 3\nactivation_bits = 8\n"
                     "weight_bits = 3\n[layer.d]\ntype = relu\n[layer.e]\ntype = quantized_linear\nfeatures = 3\n"
                     "activation_bits = 3\nweight_levels = signed\n"},
        PortableCase{"quantized_otherwise",
                     "[layer.a]\ntype = quantized_conv\nchannels = 8\nkernel = 3\nactivation_bits = 12\n"
                     "weight_bits = 1\n[layer.b]\ntype = quantized_conv\nchannels = 8\nkernel = 3\n"
                     "activation_bits = 1\nweight_bits = 0\n[layer.c]\ntype = quantized_linear\nfeatures = 3\n"
                     "activation_bits = 4\nscales = dynamic\n"}),
    [](const auto& test) { return std::string(test.param.name); });

constexpr const char kChannelGate[] = "[layer.act]\ntype = relu\n[layer.gate]\ntype = cg_conv\nkernel = 3\npad = 1\n";

std::string gated(const char* layers) {
  return std::string(kConv) + "[layer.norm]\ntype = batchnorm\n" + layers;
}

class PortableGates : public ::testing::TestWithParam<const char*> {};

TEST_P(PortableGates, DecideAsTheNetworksDo) {
  std::string layers = gated(kChannelGate) + GetParam();
  if (std::string(GetParam()).find("pg_conv") != std::string::npos) layers = gated("") + GetParam();
  Measured measured(layers + "[layer.bn]\ntype = batchnorm\n");
  for (bool fold : {false, true}) {
    PortableOptions options;
    options.fold = fold;
    options.executor = measured.inference();
    const PortableGraph graph = portable_graph(measured.network(), options);
    const std::map<std::string, Array> values = measured.run(graph);
    EXPECT_TRUE(is_close(values.at(graph.answer()), measured.answer(options.executor), 1e-5));
    EXPECT_EQ(open_in(values), measured.open());
    EXPECT_GT(measured.open(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layers, PortableGates,
    ::testing::Values("channels = 8\n", "channels = 8\npartitions = 2\nown_chunk = yes\nstride = 2\n",
                      "channels = 8\npartitions = 2\nshuffle = yes\ntwo_norms = yes\n",
                      "channels = 24\npartitions = 1\n", "channels = 24\ngranularity = channel\n",
                      "channels = 6\n[layer.relu]\ntype = relu\n[layer.channels]\ntype = channel_gate\n"
                      "init_scale = 1\nthreshold_init = 0.1\n",
                      "channels = 6\n[layer.relu]\ntype = relu\n[layer.channels]\ntype = channel_gate\n"
                      "init_scale = 1\nthreshold_init = 0.1\nscale = saliency\nfrom = relu, act\n",
                      "channels = 6\n[layer.relu]\ntype = relu\n[layer.channels]\ntype = channel_gate\n"
                      "init_scale = 1\nthreshold_init = 0.1\nscale = none\n",
                      "channels = 24\ngranularity = slice\n",
                      "channels = 24\nown_chunk = yes\nshuffle = yes\ngranularity = pixel\ntwo_norms = yes\n",
                      "[layer.gate]\ntype = pg_conv\nchannels = 24\nkernel = 3\nactivation_bits = 4\n",
                      "[layer.act]\ntype = relu\n[layer.gate]\ntype = pg_conv\nchannels = 24\nkernel = 3\n"
                      "activation_bits = 8\nprediction_bits = 4\nweight_bits = 4\n",
                      "[layer.gate]\ntype = pg_conv\nchannels = 24\nkernel = 3\npad = 1\nweight_bits = 1\n"
                      "activation_bits = 2\nprediction_bits = 1\nactivation_levels = bipolar\n",
                      "[layer.gate]\ntype = pg_conv\nchannels = 24\nkernel = 3\nweight_bits = 4\n"
                      "activation_bits = 5\nprediction_bits = 2\nactivation_levels = bipolar\n",
                      "[layer.act]\ntype = relu\n[layer.gate]\ntype = pg_conv\nchannels = 24\nkernel = 3\n"
                      "granularity = slice\nscales = dynamic\ngroups = 4\n"));

TEST(PortableInt8, RoundWhereTheNetworkDoes) {
  Measured measured(gated(kChannelGate) +
                    "channels = 16\n[layer.bn]\ntype = batchnorm\n[layer.relu]\ntype = relu\n[layer.short]\n"
                    "type = pad_shortcut\nchannels = 16\nfrom = act\n[layer.sum]\ntype = add\nfrom = relu, short\n"
                    "[layer.relu2]\ntype = relu\n[layer.again]\ntype = cg_conv\nchannels = 16\nkernel = 3\n"
                    "[layer.relu3]\ntype = relu\n[layer.dense]\ntype = conv\nchannels = 4\nkernel = 1\n");
  PortableOptions options;
  options.executor = measured.int8();
  const PortableGraph graph = portable_graph(measured.network(), options);
  const std::map<std::string, Array> values = measured.run(graph);
  const Array answer = measured.answer(options.executor);
  EXPECT_TRUE(is_close(values.at(graph.answer()), answer, 1e-5));
  EXPECT_EQ(open_in(values), measured.open());
  options.executor = measured.inference();
  EXPECT_FALSE(is_close(measured.run(portable_graph(measured.network(), options)).at(graph.answer()), answer, 1e-4))
      << "floats give the same: nothing was rounded";
}

/// How many of the numbers differ by more than rounding of floats.
double share_apart(const Array& a, const Array& b) {
  std::int64_t apart = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) apart += std::abs(a[i] - b[i]) > 1e-4 * (1 + std::abs(b[i])) ? 1 : 0;
  return static_cast<double>(apart) / static_cast<double>(a.count());
}

/// By whichever kernels. A source that lies halfway between two levels may go to the other one.
TEST(PortableInt8, RoundInEveryWayThatMultipliesInt8) {
  const std::string conv = "type = conv\nchannels = 16\nkernel = 3\npad = 1\n";
  Measured measured("[layer.first]\n" + conv + "[layer.act]\ntype = relu\n[layer.plain]\n" + conv +
                    "[layer.relu]\ntype = relu\n[layer.gate]\ntype = channel_gate\ninit_scale = 1\n"
                    "threshold_init = 0.1\nfrom = relu, act\n[layer.gated]\n" +
                    conv);
  PortableOptions options;
  options.executor = measured.int8();
  int ways = 0;
  for (const OperationInfo& operation : Executor(measured.network(), options.executor).operations()) {
    for (const std::string& way : operation.alternatives) {
      SCOPED_TRACE(concat(operation.name, " by ", way));
      ExecutorOptions by_way = options.executor;
      by_way.kernels = {{"plain", "fp32"}, {"gated", "fp32"}};
      by_way.kernels[operation.name] = way;
      const Array answer = measured.answer(by_way);
      const auto apart = [&](const std::string& said) {
        PortableOptions own = options;
        own.kernels = {{"plain", "fp32"}, {"gated", "fp32"}};
        own.kernels[operation.name == "plain" ? 0 : 1].second = said;
        const PortableGraph graph = portable_graph(measured.network(), own);
        return share_apart(measured.run(graph).at(graph.answer()), answer);
      };
      EXPECT_LT(apart(way), 0.1);
      ++ways;
      if (way.rfind("int8", 0) != 0) continue;
      EXPECT_GT(apart("fp32"), 0.5) << "nothing was rounded";
    }
  }
  EXPECT_GE(ways, 2 + 4);
}

TEST(PortableGraph, NamesWhatItHolds) {
  GatedNetwork gated(std::string("[network]\ninput = 3x4x4\n[layer.images]\ntype = conv\nchannels = 4\nkernel = 1\n") +
                     "[layer.bn]\ntype = batchnorm\n[layer.logits]\ntype = relu\n[layer.out]\ntype = add\n" +
                     "from = logits, bn\n");
  const PortableGraph graph = portable_graph(*gated.network, {});
  std::vector<std::string> ops, names, results;
  for (const PortableNode& node : graph.nodes()) {
    ops.push_back(node.op);
    names.push_back(node.name);
    results.push_back(node.result);
  }
  using ::testing::ElementsAre;
  EXPECT_THAT(ops, ElementsAre("Conv", "BatchNormalization", "Relu", "Add"));
  EXPECT_THAT(names, ElementsAre("images_", "bn", "logits", "out"));
  EXPECT_THAT(results, ElementsAre("images_", "bn", "logits", "logits_"));
  EXPECT_EQ(graph.answer(), "logits_");
  EXPECT_EQ(graph.answer_shape(), (Shape{4, 4, 4}));
  EXPECT_EQ(graph.constants().count("images.weight"), 1U);
}

TEST(PortableGraph, FoldsWhereNobodyElseReadsTheConvolution) {
  const std::string conv =
      "[network]\ninput = 3x4x4\n[layer.c]\ntype = conv\nchannels = 4\nkernel = 1\n[layer.n]\n"
      "type = batchnorm\n";
  PortableOptions options;
  options.fold = true;
  GatedNetwork alone(conv);
  EXPECT_EQ(portable_graph(*alone.network, options).nodes().size(), 1U);
  EXPECT_EQ(portable_graph(*alone.network, options).answer(), "logits");
  GatedNetwork shared(conv + "[layer.a]\ntype = add\nfrom = c, n\n");
  EXPECT_EQ(portable_graph(*shared.network, options).nodes().size(), 3U);
}

TEST(PortableGraph, NormalisesBytes) {
  GatedNetwork net("[network]\ninput = 2x1x1\n[layer.r]\ntype = clip\nlow = -100\nhigh = 100\n");
  PortableOptions options;
  options.mean = {0.5, 0.25};
  options.std = {0.25, 0.5};
  const PortableGraph graph = portable_graph(*net.network, options);
  EXPECT_TRUE(graph.input_in_bytes());
  Array bytes(Shape{1, 2, 1, 1}), want(Shape{1, 2, 1, 1});
  bytes.values = {255, 0};
  want.values = {2, -0.5};
  EXPECT_TRUE(is_close(run_portable(graph, bytes).at("logits"), want, 1e-6));
}

TEST(PortableGraph, ALayerWithoutATranslatorIsNamed) {
  Registry registry;
  register_layers(registry);
  struct Strange : Layer {
    void infer(const std::vector<Shape>& src, Declarations& declare) const override { declare.dst = src[0]; }
    std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return nullptr; }
  };
  registry.add_layer("strange", "of a plug-in", [](Keys&) { return std::make_unique<Strange>(); });
  Config config = Config::parse("[network]\ninput = 3x4x4\n[layer.s]\ntype = strange\n", "net.ini");
  const Network network(config, registry);
  try {
    portable_graph(network, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(),
                 "net.ini:4: [layer.s] type: layers of type strange are not described by standard operators; the "
                 "plug-in that brings them must register a translator (docs/export.md)");
  }
}

TEST(Translators, EveryKindHasOneButLosses) {
  Registry registry;
  register_gated_types(registry);
  for (const std::string& type : registry.types()) {
    if (!registry.is_layer(type)) continue;
    Keys documenting;
    const std::string kind = registry.make(type, documenting)->attributes().kind();
    EXPECT_EQ(registry.translator(kind) != nullptr, kind != "softmax_cross_entropy") << type;
  }
  try {
    registry.add_translator("clip", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the translator of 'clip' is registered twice; two plug-ins may use the same kind");
  }
}

}  // namespace
}  // namespace sluice
