// Soft targets: the loss and its gradient against a naive reference in double, which is itself checked by differences.
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/train/distilled_loss.hpp"
#include "layers/layers.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

using Values = std::vector<double>;

struct Target {
  double smoothing = 0, weight = 0, temperature = 1;
};

double softmax(const Values& x, std::size_t row, std::size_t k, std::size_t classes, double temperature) {
  double sum = 0;
  for (std::size_t j = 0; j < classes; ++j) sum += std::exp(x[row * classes + j] / temperature);
  return std::exp(x[row * classes + k] / temperature) / sum;
}

/// (1 - w) CE + w T^2 KL, straight from the formula; `divergence` gets T^2 KL.
double reference_loss(const Values& x, const Values& teacher, const std::vector<std::int32_t>& labels,
                      std::size_t classes, const Target& target, double* divergence = nullptr) {
  double cross_entropy = 0, kl = 0;
  const std::size_t images = labels.size();
  for (std::size_t i = 0; i < images; ++i) {
    for (std::size_t k = 0; k < classes; ++k) {
      const double hard = (static_cast<std::int32_t>(k) == labels[i] ? 1 - target.smoothing : 0) +
                          target.smoothing / static_cast<double>(classes);
      cross_entropy -= hard * std::log(softmax(x, i, k, classes, 1));
      const double soft = softmax(teacher, i, k, classes, target.temperature);
      kl += soft * std::log(soft / softmax(x, i, k, classes, target.temperature));
    }
  }
  const double scaled = target.temperature * target.temperature * kl / static_cast<double>(images);
  if (divergence != nullptr) *divergence = scaled;
  return (1 - target.weight) * cross_entropy / static_cast<double>(images) + target.weight * scaled;
}

/// Its derivative, by hand.
Values reference_gradient(const Values& x, const Values& teacher, const std::vector<std::int32_t>& labels,
                          std::size_t classes, const Target& target) {
  Values gradient(x.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t k = 0; k < classes; ++k) {
      const double hard = (static_cast<std::int32_t>(k) == labels[i] ? 1 - target.smoothing : 0) +
                          target.smoothing / static_cast<double>(classes);
      const double pull =
          softmax(x, i, k, classes, target.temperature) - softmax(teacher, i, k, classes, target.temperature);
      gradient[i * classes + k] =
          ((1 - target.weight) * (softmax(x, i, k, classes, 1) - hard) + target.weight * target.temperature * pull) /
          static_cast<double>(labels.size());
    }
  }
  return gradient;
}

/// Five images of seven classes: logits as a parameter, so that their gradient can be seen.
class SoftTargetsTest : public ::testing::TestWithParam<Target> {
 protected:
  static constexpr std::size_t kImages = 5, kClasses = 7;

  void SetUp() override { build("softmax_cross_entropy\nlabel_smoothing = " + std::to_string(GetParam().smoothing)); }

  void build(const std::string& loss) {
    network_.reset();
    registry_ = Registry();
    register_layers(registry_);
    register_test_layers(registry_);
    Config config = Config::parse(
        "[network]\ninput = 1x1x1\n[layer.x]\ntype = test_source\nfrom = data\nbatch = 5\nshape = 7\nfp32 = yes\n"
        "[layer.loss]\ntype = " +
            loss + "\nfrom = x, labels\n",
        "net.ini");
    network_ = std::make_unique<Network>(config, registry_);
    config.check();
    Random random(3, Purpose::kTest);
    for (std::size_t i = 0; i < kImages * kClasses; ++i) {
      network_->parameter_data()[i] = static_cast<float>(2 * random.normal());
      x_[i] = static_cast<double>(network_->parameter_data()[i]);
      logits_[i] = static_cast<float>(3 * random.normal());
      teacher_[i] = static_cast<double>(logits_[i]);
    }
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kImages;
    executor_ = std::make_unique<Executor>(*network_, options);
    const std::vector<float> images(kImages, 0.0F);
    executor_->set_batch(images.data(), labels_.data());
    executor_->refresh();
  }

  void learn_from(const float* logits, double weight, double temperature) {
    weight_ = weight;
    temperature_ = temperature;
    distilled_ = std::make_unique<DistilledLoss>(*executor_, *network_);
    distilled_->set(logits, &weight_, &temperature_);
  }

  Registry registry_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<DistilledLoss> distilled_;
  double weight_ = 0, temperature_ = 1;
  std::vector<std::int32_t> labels_ = {3, 0, 6, 3, 1};
  Values x_ = Values(kImages * kClasses), teacher_ = x_;
  std::vector<float> logits_ = std::vector<float>(kImages * kClasses);
};

TEST_P(SoftTargetsTest, TheReferencesGradientIsItsDerivative) {
  const Values gradient = reference_gradient(x_, teacher_, labels_, kClasses, GetParam());
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < x_.size(); ++i) {
    Values up = x_, down = x_;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope = (reference_loss(up, teacher_, labels_, kClasses, GetParam()) -
                          reference_loss(down, teacher_, labels_, kClasses, GetParam())) /
                         (2 * kStep);
    EXPECT_TRUE(std::abs(slope - gradient[i]) <= 1e-6 * (1 + std::abs(slope)))
        << i << ": " << slope << " against " << gradient[i];
  }
}

TEST_P(SoftTargetsTest, LossAndGradientEqualTheFormula) {
  const Target& target = GetParam();
  learn_from(logits_.data(), target.weight, target.temperature);
  executor_->forward();
  double divergence = 0;
  const double loss = reference_loss(x_, teacher_, labels_, kClasses, target, &divergence);
  EXPECT_NEAR(executor_->loss(), loss, 1e-6 * (1 + loss));
  EXPECT_NEAR(distilled_->divergence(), divergence, 1e-9 * (1 + divergence));
  executor_->backward();
  const Values gradient = reference_gradient(x_, teacher_, labels_, kClasses, target);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double got = static_cast<double>(executor_->gradients()[i]);
    EXPECT_TRUE(std::abs(got - gradient[i]) <= 3e-7) << i << ": " << got << " against " << gradient[i];
  }
  // The statistics speak of the labels alone, without smoothing.
  const int node = network_->find("loss");
  EXPECT_NEAR(executor_->sums(node)[0], kImages * reference_loss(x_, teacher_, labels_, kClasses, {}), 1e-5);
  EXPECT_EQ(executor_->counts(node)[0], 5);
}

INSTANTIATE_TEST_SUITE_P(Mixtures, SoftTargetsTest,
                         ::testing::Values(Target{0, 0.5, 1}, Target{0, 0.9, 4}, Target{0.1, 0.7, 2.5},
                                           Target{0.2, 1, 20}, Target{0.1, 0, 3}, Target{0, 0.3, 0.5}),
                         [](const auto& mixture) { return "mixture" + std::to_string(mixture.index); });

// Shares of classes in place of the label, beside a teacher and with smoothing, by the same formula.
TEST_P(SoftTargetsTest, SharesOfClassesTakeThePlaceOfTheLabel) {
  const Target& target = GetParam();
  learn_from(logits_.data(), target.weight, target.temperature);
  std::vector<float> shares(kImages * kClasses, 0.0F);
  std::vector<std::int32_t> others = {1, 0, 2, 4, 5};
  for (std::size_t i = 0; i < kImages; ++i) {
    shares[i * kClasses + static_cast<std::size_t>(labels_[i])] += 0.75F;
    shares[i * kClasses + static_cast<std::size_t>(others[i])] += 0.25F;
  }
  executor_->set_input("loss:shares", shares.data());
  executor_->forward();
  executor_->backward();
  // A mean over both labels, since the loss is linear in its target.
  const double loss = 0.75 * reference_loss(x_, teacher_, labels_, kClasses, target) +
                      0.25 * reference_loss(x_, teacher_, others, kClasses, target);
  EXPECT_NEAR(executor_->loss(), loss, 1e-6 * (1 + loss));
  const Values own = reference_gradient(x_, teacher_, labels_, kClasses, target),
               other = reference_gradient(x_, teacher_, others, kClasses, target);
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double wanted = 0.75 * own[i] + 0.25 * other[i], got = static_cast<double>(executor_->gradients()[i]);
    EXPECT_TRUE(std::abs(got - wanted) <= 3e-7) << i << ": " << got << " against " << wanted;
  }
  EXPECT_NEAR(executor_->sums(network_->find("loss"))[0], kImages * reference_loss(x_, teacher_, labels_, kClasses, {}),
              1e-5);
  executor_->set_input("loss:shares", nullptr);
  executor_->forward();
  const double plain = reference_loss(x_, teacher_, labels_, kClasses, target);
  EXPECT_NEAR(executor_->loss(), plain, 1e-6 * (1 + plain));
}

// Image by image: the weight of its label, or of its shares, multiplies its cross entropy, and not what a teacher says.
TEST_P(SoftTargetsTest, WeightsOfClassesMultiplyTheCrossEntropyOfAnImage) {
  const Values weights = {1, 2, 0.5, 3, 0, 1.5, 4};
  const std::vector<std::int32_t> others = {1, 0, 2, 4, 5};
  const Target& target = GetParam();
  build("softmax_cross_entropy\nclass_weights = 1, 2, 0.5, 3, 0, 1.5, 4\nlabel_smoothing = " +
        std::to_string(target.smoothing));
  learn_from(logits_.data(), target.weight, target.temperature);
  std::vector<float> shares(kImages * kClasses, 0.0F);
  for (const double own : {1.0, 0.75}) {  // labels alone; shares of two classes
    double loss = 0;
    Values gradient;
    for (std::size_t i = 0; i < kImages; ++i) {
      const auto row = [&](const Values& all) {
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i * kClasses);
        return Values(begin, begin + kClasses);
      };
      shares[i * kClasses + static_cast<std::size_t>(labels_[i])] = static_cast<float>(own);
      shares[i * kClasses + static_cast<std::size_t>(others[i])] += static_cast<float>(1 - own);
      const double weight = own * weights[static_cast<std::size_t>(labels_[i])] +
                            (1 - own) * weights[static_cast<std::size_t>(others[i])];
      const Target hard{target.smoothing, 0, 1}, soft{0, 1, target.temperature};
      const auto both = [&](const auto& of) { return own * of(labels_[i]) + (1 - own) * of(others[i]); };
      const Values x = row(x_), teacher = row(teacher_);
      loss += (1 - target.weight) * weight *
                  both([&](std::int32_t label) { return reference_loss(x, teacher, {label}, kClasses, hard); }) +
              target.weight * reference_loss(x, teacher, {0}, kClasses, soft);
      for (std::size_t k = 0; k < kClasses; ++k) {
        const auto slope = [&](std::int32_t label, const Target& t) {
          return reference_gradient(x, teacher, {label}, kClasses, t)[k];
        };
        gradient.push_back(
            ((1 - target.weight) * weight * both([&](std::int32_t label) { return slope(label, hard); }) +
             target.weight * slope(0, soft)) /
            kImages);
      }
    }
    loss /= kImages;
    executor_->set_input("loss:shares", own < 1 ? shares.data() : nullptr);
    executor_->forward();
    executor_->backward();
    EXPECT_NEAR(executor_->loss(), loss, 1e-6 * (1 + loss));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const double got = static_cast<double>(executor_->gradients()[i]);
      EXPECT_TRUE(std::abs(got - gradient[i]) <= 1e-6) << i << ": " << got << " against " << gradient[i];
    }
    std::fill(shares.begin(), shares.end(), 0.0F);
  }
}

class SoftTargetsOfAStep : public SoftTargetsTest {};

TEST_P(SoftTargetsOfAStep, NullTakesThemAway) {
  executor_->forward();
  const double plain = executor_->loss();
  learn_from(logits_.data(), 0.5, 2);
  executor_->forward();
  EXPECT_NE(executor_->loss(), plain);
  learn_from(nullptr, 0.5, 2);
  executor_->forward();
  EXPECT_EQ(executor_->loss(), plain);
  EXPECT_EQ(distilled_->divergence(), 0);
}

TEST_P(SoftTargetsOfAStep, AreReadAtEachForward) {
  learn_from(logits_.data(), 1, 2);
  executor_->forward();
  const double before = executor_->loss();
  for (std::size_t i = 0; i < logits_.size(); ++i) logits_[i] = network_->parameter_data()[i];
  executor_->forward();
  EXPECT_GT(before, 0.1);
  EXPECT_NEAR(executor_->loss(), 0, 1e-7) << "the same answers";
}

TEST_P(SoftTargetsOfAStep, LogitsFarApartDoNotOverflow) {
  for (std::size_t i = 0; i < logits_.size(); ++i) logits_[i] = i % kClasses == 2 ? 3000.0F : -3000.0F;
  learn_from(logits_.data(), 0.5, 1);
  executor_->forward();
  executor_->backward();
  EXPECT_TRUE(std::isfinite(executor_->loss()));
  for (std::size_t i = 0; i < logits_.size(); ++i) EXPECT_TRUE(std::isfinite(executor_->gradients()[i])) << i;
}

TEST_P(SoftTargetsOfAStep, ALossThatTakesNoneIsNamed) {
  build("test_loss\nbatch = 5");
  try {
    learn_from(logits_.data(), 0.5, 2);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(
        error.what(),
        "net.ini:10: [layer.loss] type: the loss 'test_loss' takes no soft targets; use one that does, such as "
        "softmax_cross_entropy");
  }
}

INSTANTIATE_TEST_SUITE_P(Plain, SoftTargetsOfAStep, ::testing::Values(Target{}),
                         [](const auto&) { return std::string("labels"); });

}  // namespace
}  // namespace sluice
