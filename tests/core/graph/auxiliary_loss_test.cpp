// A training loop that knows nothing of auxiliary losses has them in its loss and in its gradient.
#include "core/graph/auxiliary_loss.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/graph/executor.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// strength * sum of (bias - 1)^2 over every bias.
class Pull : public AuxiliaryLoss {
 public:
  explicit Pull(Keys& keys) { keys.optional("strength", strength_, any_number(), ""); }
  void bind(const Network& network) override {
    for (const Parameter& p : network.parameters()) {
      if (p.group == "bias") biases_.push_back(p);
    }
  }
  double forward(const Network& network, const AuxiliaryStep&) override {
    double sum = 0;
    for_each(network, [&](std::int64_t, double d) { sum += strength_ * d * d; });
    return sum;
  }
  void backward(const Network& network, const AuxiliaryStep&, float* diff_params, CountGradients&) override {
    for_each(network, [&](std::int64_t i, double d) { diff_params[i] += static_cast<float>(2 * strength_ * d); });
  }

 private:
  template <class Body>
  void for_each(const Network& network, const Body& body) const {
    for (const Parameter& p : biases_) {
      for (std::int64_t i = p.offset; i < p.offset + p.shape.count(); ++i)
        body(i, static_cast<double>(network.parameter_data()[i]) - 1);
    }
  }
  double strength_ = 1;
  std::vector<Parameter> biases_;
};

const char kNetwork[] = R"([network]
input = 3x6x6
[layer.conv]
type = conv
channels = 4
kernel = 3
bias = yes
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

class AuxiliaryLosses : public testing::Test {
 protected:
  static constexpr std::int64_t kBatch = 4;

  /// A network with the given further sections, and an executor with a batch.
  void make(const std::string& sections, Mode mode = Mode::kTraining) {
    register_layers(registry_);
    for (const char* name : {"pull", "pull_more"})
      registry_.add_auxiliary_loss(name, "", [](Keys& keys) { return std::make_unique<Pull>(keys); });
    Config config = Config::parse(std::string(kNetwork) + sections, "net.ini");
    network_ = std::make_unique<Network>(config, registry_);
    config.check();
    network_->initialise(3);
    ExecutorOptions options;
    options.mode = mode;
    options.batch = kBatch;
    executor_ = std::make_unique<Executor>(*network_, options);
    std::vector<float> images;
    for (int i = 0; i < kBatch * 3 * 6 * 6; ++i) images.push_back(static_cast<float>(std::sin(1.7 * i)));
    executor_->set_batch(images.data(), std::vector<std::int32_t>{0, 1, 2, 1}.data());
  }
  double loss() {
    executor_->refresh();
    executor_->forward();
    return executor_->loss();
  }
  /// The 4 + 3 biases are 0 at first: (0 - 1)^2 each.
  static constexpr double kFirst = 7;

  Registry registry_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(AuxiliaryLosses, AreInTheLossOfTraining) {
  make("[pull]\nstrength = 0.5\n[pull_more]\nstrength = 2\n");
  float* bias = nullptr;
  for (const Parameter& p : network_->parameters()) {
    for (std::int64_t i = 0; i < p.shape.count() && p.group == "bias"; ++i)
      *(bias = network_->parameter_data() + p.offset + i) = 0;
  }
  const double total = loss();
  EXPECT_THAT(executor_->auxiliary_losses(), ElementsAre(0.5 * kFirst, 2 * kFirst));
  EXPECT_DOUBLE_EQ(total, executor_->data_loss() + 2.5 * kFirst);
  *bias = 1;
  EXPECT_EQ(executor_->loss(), total) << "of the last forward";
}

TEST_F(AuxiliaryLosses, AreInItsGradient) {
  make("[pull]\nstrength = 0.5\n");
  loss();
  executor_->backward();
  const std::vector<float> gradient(executor_->gradients(), executor_->gradients() + network_->parameter_count());
  for (const Parameter& p : network_->parameters()) {
    for (std::int64_t i = p.offset; i < p.offset + std::min<std::int64_t>(4, p.shape.count()); ++i) {
      float& value = network_->parameter_data()[i];
      const float before = value;
      value = before + 0.01F;
      const double above = loss();
      value = before - 0.01F;
      const double below = loss();
      value = before;
      EXPECT_NEAR(gradient[static_cast<std::size_t>(i)], (above - below) / 0.02, 2e-4) << p.path();
    }
  }
}

TEST_F(AuxiliaryLosses, AreNoneWithoutTheirSection) {
  make("");
  const double total = loss();
  EXPECT_THAT(executor_->auxiliary_losses(), IsEmpty());
  EXPECT_EQ(total, executor_->data_loss());
}

TEST_F(AuxiliaryLosses, AreNotInTheLossOfInference) {
  make("[pull]\nstrength = 0.5\n", Mode::kInference);
  const double total = loss();
  EXPECT_THAT(executor_->auxiliary_losses(), IsEmpty());
  EXPECT_EQ(total, executor_->data_loss());
}

}  // namespace
}  // namespace sluice
