// Proves the plug-in: its layer against a plain reference in double precision whose own gradient is checked by central
// differences, and a network with it that learns.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <sluice/train.hpp>
#include <vector>

namespace {

using namespace sluice;

const Shape kShape{2, 32, 5, 7};  // two blocks of 16 channels
const std::int64_t kChannels = kShape[kC], kPixels = kShape[kH] * kShape[kW], kCount = kShape.count();

/// Numbers in (-2, 2) that look random.
std::vector<float> numbers(std::int64_t count, double phase) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(2 * std::sin(phase + 12.9898 * static_cast<double>(i * i + 1))));
  return values;
}

double swish(double x, double beta) {
  return x / (1 + std::exp(-beta * x));
}
double swish_by_x(double x, double beta) {
  const double s = 1 / (1 + std::exp(-beta * x));
  return s + beta * x * s * (1 - s);
}
double swish_by_beta(double x, double beta) {
  const double s = 1 / (1 + std::exp(-beta * x));
  return x * x * s * (1 - s);
}

TEST(Reference, GradientsAgreeWithCentralDifferences) {
  const double step = 1e-5;
  for (const double x : {-1.7, -0.4, 0.0, 0.3, 2.1}) {
    for (const double beta : {-0.8, 0.0, 1.0, 2.5}) {
      const double by_x = (swish(x + step, beta) - swish(x - step, beta)) / (2 * step);
      const double by_beta = (swish(x, beta + step) - swish(x, beta - step)) / (2 * step);
      EXPECT_NEAR(swish_by_x(x, beta), by_x, 1e-9);
      EXPECT_NEAR(swish_by_beta(x, beta), by_beta, 1e-9);
    }
  }
}

/// The layer, run as an executor runs it.
struct Pass {
  explicit Pass(std::int64_t block, DataType type = DataType::kF32) {
    Registry registry;
    load_plugin(SWISH_PLUGIN, registry);
    Config config = Config::parse("[layer.swish]\ntype = swish\nbeta = 0.5\n", "swish.ini");
    Keys keys(config.section("layer.swish"), config.diagnostics());
    layer = registry.make("swish", keys);
    Declarations declared;
    layer->infer({kShape}, declared);
    EXPECT_EQ(declared.dst, kShape);
    EXPECT_EQ(declared.parameters.at(0).shape, Shape{kChannels});
    EXPECT_EQ(declared.parameters.at(0).init.value, 0.5);
    OpRequest request;
    request.mode = Mode::kTraining;
    request.batch = kShape[kN];
    request.dst = {kShape, type, block};
    request.src = {request.dst};
    request.needs_diff_src = {true};
    OpNeeds needs;
    op = layer->make_op(request, needs);
    memory = std::make_unique<OwnMemory>(needs.slots);
    for (Buffer* buffer : {&x, &y, &dx, &dy}) *buffer = Buffer(request.dst.bytes());
    context.src = {{request.dst, x.data()}};
    context.dst = {request.dst, y.data()};
    context.diff_src = {{request.dst, dx.data()}};
    context.diff_dst = {{request.dst, dy.data()}};
    context.param = {beta.data()};
    context.diff_param = {diff_beta.data()};
    context.memory = memory->memory();
    from_nchw(numbers(kCount, 1).data(), context.src[0]);
    from_nchw(numbers(kCount, 2).data(), context.diff_dst[0]);
    // What was there before: backward overwrites the one and adds to the other.
    from_nchw(numbers(kCount, 3).data(), context.diff_src[0]);
    op->forward(context);
    op->backward(context);
  }

  static std::vector<float> values(const Tensor& tensor) {
    std::vector<float> nchw(static_cast<std::size_t>(kCount));
    to_nchw(tensor, nchw.data());
    return nchw;
  }

  std::unique_ptr<Layer> layer;
  std::unique_ptr<Op> op;
  std::unique_ptr<OwnMemory> memory;
  Context context;
  Buffer x, y, dx, dy;
  std::vector<float> beta = numbers(kChannels, 4);
  std::vector<float> diff_beta = std::vector<float>(static_cast<std::size_t>(kChannels), 100.0F);
};

/// Compares with the reference; `tolerance` is relative to the largest value.
void expect_reference(const Pass& pass, double tolerance) {
  const std::vector<float> x = Pass::values(pass.context.src[0]), dy = Pass::values(pass.context.diff_dst[0]);
  const std::vector<float> y = Pass::values(pass.context.dst), dx = Pass::values(pass.context.diff_src[0]);
  std::vector<double> diff_beta(static_cast<std::size_t>(kChannels), 100.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t channel = i / static_cast<std::size_t>(kPixels) % diff_beta.size();
    const double beta = pass.beta[channel];
    EXPECT_NEAR(y[i], swish(x[i], beta), 4 * tolerance) << "element " << i;
    EXPECT_NEAR(dx[i], dy[i] * swish_by_x(x[i], beta), 4 * tolerance) << "element " << i;
    diff_beta[channel] += dy[i] * swish_by_beta(x[i], beta);
  }
  for (std::size_t c = 0; c < diff_beta.size(); ++c)
    EXPECT_NEAR(pass.diff_beta[c], diff_beta[c], 100 * tolerance) << "channel " << c;
}

TEST(Swish, AgreesWithTheReferenceInEveryLayout) {
  expect_reference(Pass(kChannels), 1e-6);
  expect_reference(Pass(16), 1e-6);
}

TEST(Swish, AgreesWithTheReferenceInBFloat16) {
  expect_reference(Pass(kChannels, DataType::kBF16), 1.0 / 256);
}

TEST(Swish, GivesTheSameBitsForAnyNumberOfThreads) {
  set_threads(1);
  const Pass one(kChannels);
  set_threads(3);
  const Pass three(kChannels);
  set_threads(available_threads());
  EXPECT_EQ(Pass::values(one.context.diff_src[0]), Pass::values(three.context.diff_src[0]));
  EXPECT_EQ(one.diff_beta, three.diff_beta);
}

const char* const kNetwork = R"([plugins]
load = )" SWISH_PLUGIN R"(
[network]
input = 3x8x8
[layer.conv]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.swish]
type = swish
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 4
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

/// The network, on one batch. It is too small to share among threads.
struct Training {
  Training() {
    set_threads(1);
    register_layers(registry);
    Config config = Config::parse(kNetwork, "swish.ini");
    load_plugins(config, registry);
    network = std::make_unique<Network>(config, registry);
    config.check();
    network->initialise(1);
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = 8;
    executor = std::make_unique<Executor>(*network, options);
    executor->set_batch(numbers(8 * 3 * 8 * 8, 5).data(), std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 2, 3}.data());
  }

  double loss() {
    executor->refresh();
    executor->forward(0);
    return executor->loss();
  }

  Registry registry;
  std::unique_ptr<Network> network;
  std::unique_ptr<Executor> executor;
};

/// Finds a backward pass that needs more than the operation asked for: the executor uses memory again.
TEST(Swish, GradientsOfANetworkAgreeWithDifferencesOfItsLoss) {
  Training training;
  training.loss();
  training.executor->backward();
  const std::int64_t count = training.network->parameter_count();
  const std::vector<float> gradients(training.executor->gradients(), training.executor->gradients() + count);
  const float step = 1e-2F;
  for (std::int64_t i = 0; i < count; i += 7) {
    float& parameter = training.network->parameter_data()[i];
    const float before = parameter;
    parameter = before + step;
    const double above = training.loss();
    parameter = before - step;
    const double below = training.loss();
    parameter = before;
    EXPECT_NEAR(gradients[static_cast<std::size_t>(i)], (above - below) / (2 * step), 1e-4) << "parameter " << i;
  }
}

TEST(Swish, ANetworkWithItLearns) {
  Training training;
  const Parameter* beta = nullptr;
  for (const Parameter& parameter : training.network->parameters()) {
    if (parameter.path() == "swish/beta") beta = &parameter;
  }
  ASSERT_NE(beta, nullptr);
  float* const parameters = training.network->parameter_data();
  const double first = training.loss();
  for (int step = 0; step < 60; ++step) {
    training.executor->backward();
    for (std::int64_t i = 0; i < training.network->parameter_count(); ++i)
      parameters[i] -= 0.5F * training.executor->gradients()[i];
    training.loss();
  }
  EXPECT_NEAR(first, std::log(4.0), 0.7);
  EXPECT_LT(training.executor->loss(), 0.2 * first);
  EXPECT_NE(parameters[beta->offset], 1.0F) << "beta must have learned";
}

}  // namespace
