// The usual loss of a classifier: softmax, then cross entropy with the labels, averaged over the batch; with label
// smoothing, and with soft targets beside the labels.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// log(sum of exp(scale * x[j])), without overflow.
double log_sum_exp(const float* x, std::int64_t k, double scale) {
  const double top = static_cast<double>(*std::max_element(x, x + k)) * scale;
  double sum = 0;
  for (std::int64_t j = 0; j < k; ++j) sum += std::exp(static_cast<double>(x[j]) * scale - top);
  return std::log(sum) + top;
}

/// One image's cross entropy with its smoothed target; adds that without smoothing to `plain`. Writes p - t where
/// `gradient` is not null.
double hard_loss(const float* x, std::int64_t k, std::int32_t label, double smoothing, double& plain, float* gradient) {
  double mean = 0;
  for (std::int64_t j = 0; j < k; ++j) mean += static_cast<double>(x[j]);
  const double log_sum = log_sum_exp(x, k, 1);
  const double own = log_sum - static_cast<double>(x[label]);
  plain += own;
  const float off = static_cast<float>(smoothing / static_cast<double>(k)),
              on = static_cast<float>(1 - smoothing) + off;
  for (std::int64_t j = 0; gradient != nullptr && j < k; ++j)
    gradient[j] = static_cast<float>(std::exp(static_cast<double>(x[j]) - log_sum)) - (j == label ? on : off);
  return (1 - smoothing) * own + smoothing * (log_sum - mean / static_cast<double>(k));
}

/// What another network answers for the same images, where the program gives it.
enum SoftInput : std::size_t { kSoftTargets, kSoftWeight, kSoftTemperature };

struct SoftTargets {
  explicit SoftTargets(const Context& c) : logits(c.inputs[kSoftTargets].as<const float>()) {
    if (logits == nullptr) return;
    weight = *c.inputs[kSoftWeight].as<const double>();
    temperature = *c.inputs[kSoftTemperature].as<const double>();
  }

  const float* logits;  ///< N x K
  double weight = 0, temperature = 1;
};

/// One image's T^2 KL(u || v). Turns p - t into (1 - w) (p - t) + w T (v - u).
double soft_loss(const float* x, const float* z, std::int64_t k, const SoftTargets& soft, float* gradient) {
  const double scale = 1 / soft.temperature, log_sum_x = log_sum_exp(x, k, scale), log_sum_z = log_sum_exp(z, k, scale);
  double sum = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    const double log_u = static_cast<double>(z[j]) * scale - log_sum_z,
                 log_v = static_cast<double>(x[j]) * scale - log_sum_x, u = std::exp(log_u);
    sum += u * (log_u - log_v);
    if (gradient == nullptr) continue;
    gradient[j] = static_cast<float>((1 - soft.weight) * static_cast<double>(gradient[j]) +
                                     soft.weight * soft.temperature * (std::exp(log_v) - u));
  }
  return soft.temperature * soft.temperature * sum;
}

/// Loss and statistics of a batch; the gradient by logits, times N, where `gradient` is not null.
void batch_loss(const Context& c, double smoothing, float* gradient) {
  const std::int64_t n = c.src[0].shape()[0], k = c.src[0].shape()[1];
  const auto* labels = c.src[1].as<const std::int32_t>();
  const SoftTargets soft(c);
  double total = 0, divergence = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (labels[i] < 0 || labels[i] >= k) {
      throw Error(ExitCode::kData,
                  concat("label ", labels[i], " of image ", i, " of the batch: expected 0 to ", k - 1));
    }
    const float* x = c.src[0].as<const float>() + i * k;
    float* const own = gradient == nullptr ? nullptr : gradient + i * k;
    total += hard_loss(x, k, labels[i], smoothing, c.sums[0], own);
    c.counts[1] += std::max_element(x, x + k) - x == labels[i] ? 1 : 0;
    if (soft.logits != nullptr) divergence += soft_loss(x, soft.logits + i * k, k, soft, own);
  }
  c.counts[0] += n;
  double loss = total / static_cast<double>(n);
  divergence /= static_cast<double>(n);
  if (soft.logits != nullptr) loss = (1 - soft.weight) * loss + soft.weight * divergence;
  *c.more_dst[0].as<double>() = divergence;
  *c.dst.as<float>() = static_cast<float>(loss);
}

class LossInference : public Op {
 public:
  explicit LossInference(double smoothing) : smoothing_(smoothing) {}
  void forward(const Context& c) override { batch_loss(c, smoothing_, nullptr); }

 private:
  double smoothing_;
};

class LossTraining : public Op {
 public:
  LossTraining(const OpRequest& request, double smoothing, OpNeeds& needs)
      : smoothing_(smoothing), gradient_(needs.slots.saved<float>(request.src[0].shape.count())) {}

  void forward(const Context& c) override { batch_loss(c, smoothing_, c.memory[gradient_]); }

  void backward(const Context& c) override {
    const float scale = *c.diff_dst[0].as<const float>() / static_cast<float>(c.src[0].shape()[0]);
    const float* const gradient = c.memory[gradient_];
    auto* diff = c.diff_src[0].as<float>();
    for (std::int64_t i = 0; i < c.src[0].desc.count(); ++i) diff[i] = scale * gradient[i];
  }

 private:
  double smoothing_;
  Slot<float> gradient_;  ///< by logits, times N
};

/// src: N x K logits (fp32) and N labels; dst: one number. With target t = (1 - s) onehot + s / K (Szegedy et al. 2016,
/// sec. 7) and p = softmax(x): loss = -mean over n of sum_k t_k log p_k, diff_src = (p - t) / N. With soft targets
/// (inputs `soft_targets`, logits z: N x K, `soft_weight` w and `soft_temperature` T; Hinton et al. 2015, sec. 2),
/// u = softmax(z / T) and v = softmax(x / T): loss = (1 - w) * that + w D, D = T^2 * mean of sum_k u_k (log u_k - log
/// v_k), diff_src = ((1 - w) (p - t) + w T (v - u)) / N. The second result, `divergence`, is D, and has no gradient.
/// Statistics: `images` and `correct` (exact), `loss` (sum over images,
/// of the labels alone and without smoothing).
class SoftmaxCrossEntropy : public Layer {
 public:
  explicit SoftmaxCrossEntropy(Keys& keys) {
    keys.optional("label_smoothing", smoothing_, Range<double>{0.0, 0.999},
                  "share of the target spread over all classes");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 2);
    if (src[0].rank() != 2 || src[1] != Shape{src[0][kN]}) {
      throw ShapeError("from", concat("expected logits N x classes and labels N, got ", to_string(src[0]), " and ",
                                      to_string(src[1])));
    }
    declare.dst = {1};
    declare.dst_type = DataType::kF32;
    declare.is_loss = true;
    declare.result("divergence", {1}, DataType::kF64);
    declare.input("soft_targets", src[0]);
    declare.input("soft_weight", {1}, DataType::kF64);
    declare.input("soft_temperature", {1}, DataType::kF64);
    declare.count("images", Role::kImages);
    declare.count("correct", Role::kCorrect);
    declare.sum("loss", Role::kLoss);
  }

  Attributes attributes() const override {
    Attributes attributes("softmax_cross_entropy");
    attributes.set("label_smoothing", smoothing_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<LossTraining>(request, smoothing_, needs);
    return std::make_unique<LossInference>(smoothing_);
  }

 private:
  double smoothing_ = 0;
};

}  // namespace

std::unique_ptr<Layer> make_softmax_cross_entropy(Keys& keys) {
  return std::make_unique<SoftmaxCrossEntropy>(keys);
}

}  // namespace sluice
