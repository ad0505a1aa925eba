// Proves the plug-in: its layer against a plain reference in double precision whose gradient is taken by central
// differences, and a network in which the gating loss, the metrics and the costs find it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <sluice/train.hpp>
#include <stdexcept>
#include <vector>

namespace {

using namespace sluice;
using Values = std::vector<double>;

const std::int64_t kBatch = 2, kImage = 3, kIn = 16, kOut = 32, kSide = 6, kPixels = kSide * kSide, kClasses = 4;
const double kAlpha = 3, kTarget = 0.5, kPenalty = 0.01;

/// The gated layer between the images and the loss; its results stand before a second, plain convolution, so that every
/// output has another gradient.
std::string network_text(const std::string& more) {
  return concat("[plugins]\nload = " CENTRE_CONV "\n[network]\ninput = ", kImage, "x", kSide, "x", kSide,
                "\n[layer.stem]\ntype = conv\nchannels = ", kIn,
                "\nkernel = 1\n[layer.gated]\ntype = centre_conv\nchannels = ", kOut,
                "\nkernel = 3\npad = 1\nalpha = ", kAlpha, "\n", more, "[layer.flat]\ntype = flatten\n",
                "[layer.fc]\ntype = linear\nfeatures = ", kClasses,
                "\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n",
                "[gating_loss]\ntarget = ", kTarget, "\npenalty = ", kPenalty, "\n");
}

/// A network, one training step of it, and its parameters as the reference wants them.
struct Step {
  explicit Step(const std::string& more, ExecutorOptions options = {}) {
    register_all(registry);
    Config config = Config::parse(network_text(more), "centre.ini");
    load_plugins(config, registry);
    network = std::make_unique<Network>(config, registry);
    config.check();
    network->initialise(7);
    options.mode = Mode::kTraining;
    options.batch = kBatch;
    executor = std::make_unique<Executor>(*network, options);
    float* const threshold = parameter("gated/threshold");
    for (std::int64_t o = 0; o < kOut; ++o)
      threshold[o] = static_cast<float>(0.4 * std::sin(3.0 * static_cast<double>(o)));
    for (std::int64_t i = 0; i < kBatch * kPixels * kImage; ++i)
      images.push_back(static_cast<float>(2 * std::sin(12.9898 * static_cast<double>(i * i + 1))));
    executor->set_batch(images.data(), labels.data());
    executor->refresh();
    executor->forward();
    executor->backward();
  }

  std::int64_t offset(const std::string& path) const {
    for (const Parameter& p : network->parameters()) {
      if (p.path() == path) return p.offset;
    }
    throw std::runtime_error("no " + path);
  }
  float* parameter(const std::string& path) const { return network->parameter_data() + offset(path); }
  const float* gradient(const std::string& path) const { return executor->gradients() + offset(path); }
  Values values(const std::string& path, std::int64_t count) const {
    return {parameter(path), parameter(path) + count};
  }

  Registry registry;
  std::unique_ptr<Network> network;
  std::unique_ptr<Executor> executor;
  std::vector<float> images;
  std::vector<std::int32_t> labels = {1, 3};
};

/// The same network written down plainly. `decisions` of one run can be held for the next: then the loss, with a
/// sigmoid that moves in the place of each decision's step, has the gradient that the layer claims.
struct Reference {
  explicit Reference(const Step& step) : images(step.images.begin(), step.images.end()) {
    stem = step.values("stem/weight", kIn * kImage);
    weight = step.values("gated/weight", kOut * kIn * 9);
    threshold = step.values("gated/threshold", kOut);
    fc = step.values("fc/weight", kClasses * kOut * kPixels);
    bias = step.values("fc/bias", kClasses);
  }

  double stem_at(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) const {
    if (y < 0 || x < 0 || y >= kSide || x >= kSide) return 0;
    double sum = 0;
    for (std::int64_t i = 0; i < kImage; ++i)
      sum += stem[static_cast<std::size_t>(c * kImage + i)] *
             images[static_cast<std::size_t>(((n * kSide + y) * kSide + x) * kImage + i)];
    return sum;
  }

  /// Middle (first) and ring (second) at an output.
  std::pair<double, double> products(std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) const {
    double middle = 0, ring = 0;
    for (std::int64_t i = 0; i < kIn * 9; ++i) {
      const std::int64_t tap = i % 9;
      const double product =
          weight[static_cast<std::size_t>(o * kIn * 9 + i)] * stem_at(n, i / 9, y + tap / 3 - 1, x + tap % 3 - 1);
      (tap == 4 ? middle : ring) += product;
    }
    return {middle, ring};
  }

  /// Calls body(index among all outputs, n, o, y, x).
  template <class Body>
  static void for_outputs(const Body& body) {
    for (std::int64_t i = 0; i < kBatch * kOut * kPixels; ++i)
      body(static_cast<std::size_t>(i), i / (kOut * kPixels), i / kPixels % kOut, i / kSide % kSide, i % kSide);
  }

  /// Notes decisions, ring products and sigmoids as they are now.
  void hold(bool sparse) {
    for_outputs([&](std::size_t, std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
      const auto [middle, ring] = products(n, o, y, x);
      const double q = middle - threshold[static_cast<std::size_t>(o)];
      open.push_back(q > 0 ? 1.0 : 0.0);
      held_ring.push_back(sparse && q < 0 ? 0 : ring);
      held_sigmoid.push_back(1 / (1 + std::exp(-kAlpha * q)));
    });
  }

  double loss() const {
    Values logits(static_cast<std::size_t>(kBatch * kClasses));
    for_outputs([&](std::size_t i, std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
      const auto [middle, ring] = products(n, o, y, x);
      const double sigmoid = 1 / (1 + std::exp(-kAlpha * (middle - threshold[static_cast<std::size_t>(o)])));
      const double value = middle + open[i] * ring + held_ring[i] * (sigmoid - held_sigmoid[i]);
      for (std::int64_t k = 0; k < kClasses; ++k)
        logits[static_cast<std::size_t>(n * kClasses + k)] +=
            value * fc[static_cast<std::size_t>(k * kOut * kPixels) + i % static_cast<std::size_t>(kOut * kPixels)];
    });
    double total = 0;
    for (std::int64_t n = 0; n < kBatch; ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < kClasses; ++k) sum += std::exp(logit(logits, n, k));
      total += std::log(sum) - logit(logits, n, n == 0 ? 1 : 3);
    }
    double gating = 0;
    for (double t : threshold) gating += (t - kTarget) * (t - kTarget);
    return total / static_cast<double>(kBatch) + kPenalty * gating;
  }

  double logit(const Values& logits, std::int64_t n, std::int64_t k) const {
    return logits[static_cast<std::size_t>(n * kClasses + k)] + bias[static_cast<std::size_t>(k)];
  }

  Values images, stem, weight, threshold, fc, bias;
  Values open, held_ring, held_sigmoid;
};

/// Central differences of every `stride`th value, against the layer's gradient.
void expect_gradient(Reference& reference, Values& values, const float* gradient, std::size_t stride,
                     const char* name) {
  const double step = 1e-5;
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < values.size(); i += stride) {
    const double value = values[i];
    values[i] = value + step;
    const double above = reference.loss();
    values[i] = value - step;
    const double below = reference.loss();
    values[i] = value;
    const double expected = (above - below) / (2 * step);
    largest = std::max(largest, std::abs(expected));
    worst = std::max(worst, std::abs(expected - static_cast<double>(gradient[i])));
  }
  EXPECT_GT(largest, 1e-4) << name << ": nothing to compare";
  EXPECT_LT(worst, 1e-4 * largest) << name;
}

void check_step(const std::string& more, bool sparse, ExecutorOptions options = {}) {
  const Step step(more, options);
  Reference reference(step);
  reference.hold(sparse);
  EXPECT_NEAR(step.executor->loss(), reference.loss(), 1e-5 * reference.loss());
  double open = 0;
  for (double d : reference.open) open += d;
  const std::int64_t* const counts = step.executor->counts(step.network->find("gated"));
  EXPECT_EQ(static_cast<double>(counts[0]), open);
  EXPECT_EQ(counts[1], kBatch * kOut * kPixels);
  EXPECT_GT(open, 100);
  EXPECT_LT(open, static_cast<double>(counts[1]) - 100);
  expect_gradient(reference, reference.threshold, step.gradient("gated/threshold"), 1, "threshold");
  expect_gradient(reference, reference.weight, step.gradient("gated/weight"), 61, "weight");
  expect_gradient(reference, reference.stem, step.gradient("stem/weight"), 1, "what lies before the layer");
}

class CentreConv : public testing::Test {
 protected:
  CentreConv() { set_threads(1); }  // too small to share
};

TEST_F(CentreConv, AgreesWithTheReferenceInEveryLayout) {
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kAuto}) {
    ExecutorOptions options;
    options.layout = layout;
    check_step("", false, options);
  }
}

TEST_F(CentreConv, SparseBackpropagationStopsAtClosedGates) {
  check_step("sparse_backprop = yes\n", true);
}

TEST_F(CentreConv, RunsInBFloat16) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this processor has no bf16";
  ExecutorOptions options;
  options.type = DataType::kBF16;
  const Step exact(""), rounded("", options);
  EXPECT_NEAR(rounded.executor->loss(), exact.executor->loss(), 0.02 * exact.executor->loss());
  double product = 0, of_exact = 0, of_rounded = 0;
  for (std::int64_t i = 0; i < kOut * kIn * 9; ++i) {
    const double a = exact.gradient("gated/weight")[i], b = rounded.gradient("gated/weight")[i];
    product += a * b;
    of_exact += a * a;
    of_rounded += b * b;
  }
  EXPECT_GT(product / std::sqrt(of_exact * of_rounded), 0.99) << "the gradient points elsewhere";
}

TEST_F(CentreConv, ThresholdsOpenAndCloseEveryGate) {
  const Step gated("threshold_init = 0\n"), dense("");
  for (const Step* step : {&gated, &dense})
    std::fill_n(step->parameter("gated/threshold"), kOut, step == &gated ? -1e6F : 1e6F);
  for (const Step* step : {&gated, &dense}) {
    step->executor->reset_statistics();
    step->executor->refresh();
    step->executor->forward();
  }
  EXPECT_EQ(gated.executor->counts(gated.network->find("gated"))[0], kBatch * kOut * kPixels);
  EXPECT_EQ(dense.executor->counts(dense.network->find("gated"))[0], 0);
}

TEST_F(CentreConv, LossMetricsAndCostsFindIt) {
  const Step step("");
  ASSERT_EQ(step.network->auxiliary_losses().size(), 1U);
  double expected = 0;
  for (double t : step.values("gated/threshold", kOut)) expected += kPenalty * (t - kTarget) * (t - kTarget);
  EXPECT_NEAR(step.executor->auxiliary_losses()[0], expected, 1e-9);
  EXPECT_NEAR(step.executor->loss() - step.executor->data_loss(), expected, 1e-9);

  const CountsByNode counts = step.executor->statistics().counts_by_node();
  const auto node = static_cast<std::size_t>(step.network->find("gated"));
  const double density = static_cast<double>(counts[node][0]) / static_cast<double>(counts[node][1]);
  const std::vector<DerivedMetric> metrics = derive_metrics(*step.network, counts);
  ASSERT_EQ(metrics.size(), 2U);
  EXPECT_EQ(metrics[0].type->name, "gate_density");
  EXPECT_DOUBLE_EQ(metrics[0].value, density);
  EXPECT_EQ(metrics[1].type->name, "sparsity");

  const Cost cost = layer_costs(*step.network, counts)[node];
  const double taps = static_cast<double>(kOut * kIn * kPixels);  // one of nine
  EXPECT_EQ(cost.macs_dense, 9 * taps);
  EXPECT_NEAR(cost.macs_executed, taps + 8 * taps * density, 1e-6);
}

TEST_F(CentreConv, GivesTheSameBitsAgain) {
  set_threads(3);
  const Step one(""), again("");
  set_threads(1);
  const std::size_t bytes = static_cast<std::size_t>(one.network->parameter_count()) * sizeof(float);
  EXPECT_EQ(std::memcmp(one.executor->gradients(), again.executor->gradients(), bytes), 0);
}

TEST_F(CentreConv, RefusesWhatItCannotDo) {
  Registry registry;
  register_layers(registry);
  Config config = Config::parse("[plugins]\nload = " CENTRE_CONV
                                "\n[network]\ninput = 3x8x8\n[layer.a]\ntype = centre_conv\nchannels = 4\nkernel = 4\n",
                                "even.ini");
  load_plugins(config, registry);
  try {
    const Network network(config, registry);
    FAIL() << "an even kernel has no middle";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[layer.a] kernel: expected an odd number"), std::string::npos)
        << error.what();
  }
}

}  // namespace
