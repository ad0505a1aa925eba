// The usual loss of a classifier: softmax, then cross entropy with the labels, averaged over the batch; with label
// smoothing, and with soft targets beside the labels or in their place.
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

/// One image's cross entropy with its smoothed label; adds that without smoothing to `plain`. Writes p - t where
/// `gradient` is not null.
double label_loss(const float* x, std::int64_t k, std::int32_t label, double smoothing, double& plain,
                  float* gradient) {
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

/// The same with shares q of all classes, whose sum is 1, in place of the label.
double shares_loss(const float* x, const float* q, std::int64_t k, double smoothing, float* gradient) {
  const double log_sum = log_sum_exp(x, k, 1), off = smoothing / static_cast<double>(k);
  double loss = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    const double target = (1 - smoothing) * static_cast<double>(q[j]) + off,
                 log_p = static_cast<double>(x[j]) - log_sum;
    loss -= target * log_p;
    if (gradient != nullptr) gradient[j] = static_cast<float>(std::exp(log_p) - target);
  }
  return loss;
}

/// Where the program gives them: what another network answers for the same images, and shares of classes.
enum SoftInput : std::size_t { kSoftTargets, kSoftWeight, kSoftTemperature, kShares };

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

/// What the keys of the layer say.
struct LossOptions {
  double smoothing = 0;
  std::vector<double> class_weights;  ///< one for each class, or none
};

/// The weight of an image by its label, or by its shares of all classes.
double weight_of(const std::vector<double>& class_weights, std::int32_t label, const float* shares) {
  if (class_weights.empty()) return 1;
  if (shares == nullptr) return class_weights[static_cast<std::size_t>(label)];
  double weight = 0;
  for (std::size_t j = 0; j < class_weights.size(); ++j) weight += static_cast<double>(shares[j]) * class_weights[j];
  return weight;
}

/// One image's cross entropy with its weight, and its gradient; adds to the sum of `plain` ones.
double image_loss(const float* x, std::int64_t k, std::int32_t label, const float* shares, const LossOptions& options,
                  double& plain, float* gradient) {
  double loss = label_loss(x, k, label, options.smoothing, plain, shares == nullptr ? gradient : nullptr);
  if (shares != nullptr) loss = shares_loss(x, shares, k, options.smoothing, gradient);
  if (options.class_weights.empty()) return loss;
  const double weight = weight_of(options.class_weights, label, shares);
  for (std::int64_t j = 0; gradient != nullptr && j < k; ++j)
    gradient[j] = static_cast<float>(weight * static_cast<double>(gradient[j]));
  return weight * loss;
}

/// Loss and statistics of a batch; the gradient by logits, times N, where `gradient` is not null.
void batch_loss(const Context& c, const LossOptions& options, float* gradient) {
  const std::int64_t n = c.src[0].shape()[0], k = c.src[0].shape()[1];
  const auto* labels = c.src[1].as<const std::int32_t>();
  const auto* const shares = c.inputs[kShares].as<const float>();
  const SoftTargets soft(c);
  double total = 0, divergence = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (labels[i] < 0 || labels[i] >= k) {
      throw Error(ExitCode::kData,
                  concat("label ", labels[i], " of image ", i, " of the batch: expected 0 to ", k - 1));
    }
    const float* x = c.src[0].as<const float>() + i * k;
    float* const own = gradient == nullptr ? nullptr : gradient + i * k;
    total += image_loss(x, k, labels[i], shares == nullptr ? nullptr : shares + i * k, options, c.sums[0], own);
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
  explicit LossInference(LossOptions options) : options_(std::move(options)) {}
  void forward(const Context& c) override { batch_loss(c, options_, nullptr); }

 private:
  LossOptions options_;
};

class LossTraining : public Op {
 public:
  LossTraining(const OpRequest& request, LossOptions options, OpNeeds& needs)
      : options_(std::move(options)), gradient_(needs.slots.saved<float>(request.src[0].shape.count())) {}

  void forward(const Context& c) override { batch_loss(c, options_, c.memory[gradient_]); }

  void backward(const Context& c) override {
    const float scale = *c.diff_dst[0].as<const float>() / static_cast<float>(c.src[0].shape()[0]);
    const float* const gradient = c.memory[gradient_];
    auto* diff = c.diff_src[0].as<float>();
    for (std::int64_t i = 0; i < c.src[0].desc.count(); ++i) diff[i] = scale * gradient[i];
  }

 private:
  LossOptions options_;
  Slot<float> gradient_;  ///< by logits, times N
};

/// src: N x K logits (fp32) and N labels; dst: one number. With target t = (1 - s) onehot + s / K (Szegedy et al. 2016,
/// sec. 7) and p = softmax(x): loss = -mean over n of sum_k t_k log p_k, diff_src = (p - t) / N. With soft targets
/// (inputs `soft_targets`, logits z: N x K, `soft_weight` w and `soft_temperature` T; Hinton et al. 2015, sec. 2),
/// u = softmax(z / T) and v = softmax(x / T): loss = (1 - w) * that + w D, D = T^2 * mean of sum_k u_k (log u_k - log
/// v_k), diff_src = ((1 - w) (p - t) + w T (v - u)) / N. The second result, `divergence`, is D, and has no gradient.
/// With the input `shares`, N x K, its rows take the place of onehot in t. With class weights a, the cross entropy of
/// an image (not D) is multiplied by sum_k onehot_k a_k (or shares). Statistics: `images` and `correct` (exact), `loss`
/// (sum over images, of the labels alone and without smoothing).
class SoftmaxCrossEntropy : public Layer {
 public:
  explicit SoftmaxCrossEntropy(Keys& keys) {
    keys.optional("label_smoothing", options_.smoothing, Range<double>{0.0, 0.999},
                  "share of the target spread over all classes");
    keys.optional("class_weights", options_.class_weights, Range<double>{0.0, 1e6},
                  "factors of the losses of images of each class, the first class first; empty: 1 for all");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 2);
    if (src[0].rank() != 2 || src[1] != Shape{src[0][kN]}) {
      throw ShapeError("from", concat("expected logits N x classes and labels N, got ", to_string(src[0]), " and ",
                                      to_string(src[1])));
    }
    if (!options_.class_weights.empty() && static_cast<std::int64_t>(options_.class_weights.size()) != src[0][kC])
      throw ShapeError("class_weights", concat("expected a factor for each of the ", src[0][kC], " classes, got ",
                                               options_.class_weights.size()));
    declare.dst = {1};
    declare.dst_type = DataType::kF32;
    declare.is_loss = true;
    declare.result("divergence", {1}, DataType::kF64);
    declare.input("soft_targets", src[0]);
    declare.input("soft_weight", {1}, DataType::kF64);
    declare.input("soft_temperature", {1}, DataType::kF64);
    declare.input("shares", src[0]);
    declare.count("images", Role::kImages);
    declare.count("correct", Role::kCorrect);
    declare.sum("loss", Role::kLoss);
  }

  Attributes attributes() const override {
    Attributes attributes("softmax_cross_entropy");
    attributes.set("label_smoothing", options_.smoothing);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<LossTraining>(request, options_, needs);
    return std::make_unique<LossInference>(options_);
  }

 private:
  LossOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_softmax_cross_entropy(Keys& keys) {
  return std::make_unique<SoftmaxCrossEntropy>(keys);
}

}  // namespace sluice
