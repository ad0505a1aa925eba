// The gating loss: both forms against loops, its gradient against differences, what counts and how much.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "gating/gating.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

/// Stands in for the layer type whose loss is a norm, whoever provides it: a parameter of group `threshold`.
class Thresholds : public Layer {
 public:
  explicit Thresholds(Keys&) {}
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src[0];
    declare.parameter("threshold", {src[0][kC]}, "threshold", Init::constant(0));
    declare.costs.push_back({100, 8, 2});
    declare.costs.push_back({100, 8, 1, -1, -1, true});  // the same products again
  }
  Attributes attributes() const override {
    Attributes attributes("thresholds");
    attributes.set("gating_loss_form", std::string("norm"));
    return attributes;
  }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return nullptr; }  // it never runs
};

/// Multiply-adds: a 4 x 4 pixels x (4 x 4 x 9) = 2304, b 2 x 2 x (4 x 4 x 9) = 576.
const char* const kLayers = R"([network]
input = 4x4x4
[layer.a]
type = cg_conv
channels = 4
kernel = 3
pad = 1
[layer.b]
type = cg_conv
channels = 4
kernel = 3
stride = 2
pad = 1
)";

struct Built {
  explicit Built(const std::string& text) {
    register_layers(registry);
    registry.add_layer("cg_conv", "", make_cg_conv);
    registry.add_layer("pg_conv", "", [](Keys& keys) { return std::make_unique<Thresholds>(keys); });
    registry.add_auxiliary_loss("gating_loss", "", make_gating_loss);
    Config config = Config::parse(text, "net.ini");
    network = std::make_unique<Network>(config, registry);
    config.check();
    network->initialise(1);
    Random random(2, Purpose::kTest);
    for (const Parameter& p : network->parameters()) {
      for (std::int64_t i = 0; p.group == "threshold" && i < p.shape.count(); ++i)
        network->parameter_data()[p.offset + i] = static_cast<float>(random.normal());
    }
  }

  AuxiliaryLoss& loss() const { return *network->auxiliary_losses().at(0).second; }
  double value() const { return loss().forward(*network, {}); }
  const Parameter& threshold(const std::string& layer) const {
    for (const Parameter& p : network->parameters()) {
      if (p.path() == layer + "/threshold") return p;
    }
    throw Error(ExitCode::kInternal, "no such layer");
  }
  /// Squared distance of a layer's thresholds to the target.
  double distance(const std::string& layer, double target) const {
    const Parameter& p = threshold(layer);
    double sum = 0;
    for (std::int64_t i = 0; i < p.shape.count(); ++i)
      sum += std::pow(static_cast<double>(network->parameter_data()[p.offset + i]) - target, 2);
    return sum;
  }
  std::vector<float> gradient() const {
    std::vector<float> diff(static_cast<std::size_t>(network->parameter_count()), 0.0F);
    CountGradients none;
    loss().backward(*network, {}, diff.data(), none);
    return diff;
  }

  Registry registry;
  std::unique_ptr<Network> network;
};

const std::string kPg = "[layer.p]\ntype = pg_conv\n";

TEST(GatingLoss, IsASumOfSquares) {
  const Built built(std::string(kLayers) + "[gating_loss]\nform = squares\ntarget = 0.6\npenalty = 0.01\n");
  EXPECT_NEAR(built.value(), 0.01 * (built.distance("a", 0.6) + built.distance("b", 0.6)), 1e-12);
}

TEST(GatingLoss, OrASumOfNorms) {
  const Built built(std::string(kLayers) + "[gating_loss]\nform = norm\ntarget = -2\npenalty = 0.001\n");
  const double expected = 0.001 * (std::sqrt(built.distance("a", -2)) + std::sqrt(built.distance("b", -2)));
  EXPECT_NEAR(built.value(), expected, 1e-12);
}

TEST(GatingLoss, HasPublishedDefaults) {
  const Built built(std::string(kLayers) + "[gating_loss]\n");
  EXPECT_NEAR(built.value(), 1e-4 * (built.distance("a", 1) + built.distance("b", 1)), 1e-12);
}

TEST(GatingLoss, ChoosesTheFormByLayer) {
  const Built built(std::string(kLayers) + kPg + "[gating_loss]\ntarget = 2\npenalty = 1\n");
  const double expected = built.distance("a", 2) + built.distance("b", 2) + std::sqrt(built.distance("p", 2));
  EXPECT_NEAR(built.value(), expected, 1e-9);
  const Built squares(std::string(kLayers) + kPg + "[gating_loss]\ntarget = 2\npenalty = 1\nform = squares\n");
  EXPECT_NEAR(squares.value(), squares.distance("a", 2) + squares.distance("b", 2) + squares.distance("p", 2), 1e-9);
}

TEST(GatingLoss, IsAbsentUnlessAskedFor) {
  const Built built{std::string(kLayers)};
  EXPECT_TRUE(built.network->auxiliary_losses().empty());
}

TEST(GatingLoss, MayWeighByCost) {
  const Built built(std::string(kLayers) + kPg +
                    "[gating_loss]\ntarget = 2\npenalty = 1\nform = norm\npenalty_by_cost = yes\n");
  const double mean = (2304 + 576 + 100) / 3.0;
  const double expected = 2304 / mean * std::sqrt(built.distance("a", 2)) +
                          576 / mean * std::sqrt(built.distance("b", 2)) +
                          100 / mean * std::sqrt(built.distance("p", 2));
  EXPECT_NEAR(built.value(), expected, 1e-9);
}

const char* const kShared = "[layer.c]\ntype = cg_conv\nchannels = 4\nkernel = 3\npad = 1\nshare = b\n";

TEST(GatingLoss, CountsSharedThresholdsOnce) {
  const Built built(std::string(kLayers) + kShared + "[gating_loss]\ntarget = 2\npenalty = 1\n");
  EXPECT_NEAR(built.value(), built.distance("a", 2) + built.distance("b", 2), 1e-9);
}

// Thresholds that two layers share decide about the work of both.
TEST(GatingLoss, WeighsSharedThresholdsByAllTheirLayers) {
  const Built built(std::string(kLayers) + kShared + "[gating_loss]\ntarget = 2\npenalty = 1\npenalty_by_cost = yes\n");
  const double b = 576 + 576, mean = (2304 + b) / 2;
  EXPECT_NEAR(built.value(), 2304 / mean * built.distance("a", 2) + b / mean * built.distance("b", 2), 1e-9);
}

TEST(GatingLoss, HasTheGradientOfItsValue) {
  for (const char* form : {"squares", "norm", "auto"}) {
    for (const char* by_cost : {"no", "yes"}) {
      SCOPED_TRACE(concat(form, ", by cost ", by_cost));
      const Built built(concat(kLayers, kPg, kShared, "[gating_loss]\ntarget = 0.7\npenalty = 0.3\nform = ", form,
                               "\npenalty_by_cost = ", by_cost, "\n"));
      const std::vector<float> gradient = built.gradient();
      std::vector<bool> is_threshold(gradient.size(), false);
      for (const char* layer : {"a", "b", "p"}) {
        const Parameter& p = built.threshold(layer);
        for (std::int64_t i = p.offset; i < p.offset + p.shape.count(); ++i)
          is_threshold[static_cast<std::size_t>(i)] = true;
      }
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        if (!is_threshold[i]) {
          EXPECT_EQ(gradient[i], 0) << "of something else than a threshold";
          continue;
        }
        constexpr float kStep = 0.0009765625F;  // 2^-10, so that differences of thresholds are exact but for rounding
        float& x = built.network->parameter_data()[i];
        const float at = x;
        x = at + kStep;
        const double above = built.value(), high = static_cast<double>(x);
        x = at - kStep;
        const double below = built.value(), low = static_cast<double>(x);
        x = at;
        EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / (high - low), 2e-6) << "at " << i;
      }
    }
  }
}

TEST(GatingLoss, NormHasNoGradientAtTheTarget) {
  const Built built(std::string(kLayers) + "[gating_loss]\nform = norm\ntarget = 1\n");
  for (const char* layer : {"a", "b"})
    std::fill_n(built.network->parameter_data() + built.threshold(layer).offset, 4, 1.0F);
  EXPECT_EQ(built.value(), 0);
  for (const float diff : built.gradient()) EXPECT_EQ(diff, 0);  // and no NaN
}

TEST(GatingLoss, AddsToGradients) {
  const Built built(std::string(kLayers) + "[gating_loss]\ntarget = 2\n");
  const std::vector<float> once = built.gradient();
  std::vector<float> more(once.size(), 5.0F);
  CountGradients none;
  built.loss().backward(*built.network, {}, more.data(), none);
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_FLOAT_EQ(more[i], 5 + once[i]);
}

/// Gradients of one step with zeros for images, whatever loop calls the executor.
std::vector<float> step_gradients(const Built& built) {
  ExecutorOptions options;
  options.mode = Mode::kTraining;
  Executor executor(*built.network, options);
  const std::vector<float> image(64, 1.0F);
  const std::int32_t label = 0;
  executor.set_batch(image.data(), &label);
  executor.refresh();
  executor.forward();
  executor.backward();
  return {executor.gradients(), executor.gradients() + built.network->parameter_count()};
}

TEST(GatingLoss, IsPartOfEveryTrainingStep) {
  const std::string tail =
      "[layer.pool]\ntype = global_pool\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = pool, labels\n";
  const Built without(kLayers + tail), with(kLayers + tail + "[gating_loss]\ntarget = 2\npenalty = 0.1\n");
  const std::vector<float> plain = step_gradients(without), whole = step_gradients(with), own = with.gradient();
  float largest = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(whole[i], plain[i] + own[i], 1e-7F);
    largest = std::max(largest, std::abs(own[i]));
  }
  EXPECT_GT(largest, 0.01F);
}

}  // namespace
}  // namespace sluice
