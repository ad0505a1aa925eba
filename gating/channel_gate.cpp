// Gates of whole channels of an image (after Gao et al., Dynamic Channel Pruning: Feature Boosting and Suppression,
// ICLR 2019, arXiv 1810.05331): `channel_decision` makes a factor for each channel of a saliency, 0 where a gate is
// closed; `channel_gate` puts it behind the pooled source and a linear layer, and multiplies.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/config/config.hpp"
#include "core/config/text.hpp"
#include "gating/gate.hpp"
#include "gating/gating.hpp"
#include "layers/composite.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// What an open channel is multiplied by.
enum class Scale { kSigmoid, kSaliency, kNone };

float logistic(float z) {
  return 1 / (1 + std::exp(-z));
}

struct DecisionOptions {
  double alpha = 2, threshold_init = -1, open_share = 0, noise = 0;
  bool sparse_backprop = false;
  Scale scale = Scale::kSigmoid;

  void describe(Keys& keys) {
    keys.optional("alpha", alpha, above_zero(), "steepness of the sigmoid whose gradient stands in for the gate's");
    keys.optional("sparse_backprop", sparse_backprop, "no gradient through gates that are closed");
    describe_threshold(keys, threshold_init, open_share);
    keys.optional("noise", noise, at_least(0.0),
                  "training decides by the saliency and so many times a difference of two Gumbel variables");
    keys.choice("scale", scale, {{"sigmoid", Scale::kSigmoid}, {"saliency", Scale::kSaliency}, {"none", Scale::kNone}},
                "what an open channel is multiplied by: 2 sigmoid(q), q itself, or 1; q: saliency - threshold");
  }
  Init initial_threshold() const { return open_share > 0 ? Init::measured() : Init::constant(threshold_init); }
  std::string threshold_text() const {
    return open_share > 0 ? concat("density:", shortest(open_share)) : shortest(threshold_init);
  }
  /// The factor of an open channel, by its distance q to the threshold; and its derivative.
  float value(float q) const {
    if (scale == Scale::kNone) return 1;
    return scale == Scale::kSigmoid ? 2 * logistic(q) : std::max(q, 0.0F);
  }
  float slope(float q) const {
    if (scale == Scale::kNone) return 0;
    return scale == Scale::kSigmoid ? 2 * logistic(q) * logistic(-q) : q > 0 ? 1.0F : 0.0F;
  }
  std::string scale_name() const {
    return scale == Scale::kSigmoid ? "sigmoid" : scale == Scale::kSaliency ? "saliency" : "none";
  }
};

/// Calls body(image, channel, element).
template <class Body>
void for_each_channel(const Tensor& rows, Body&& body) {
  const std::int64_t images = rows.shape()[kN], channels = rows.shape()[kC];
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t c = 0; c < channels; ++c) body(n, c, n * channels + c);
  }
}

template <class T>
class ChannelDecisionOp : public Op {
 public:
  ChannelDecisionOp(const OpRequest& request, const DecisionOptions& options, OpNeeds& needs)
      : options_(options), trains_(request.training()) {
    needs.backward_uses_src = true;
    if (trains_) {
      scores_ = needs.slots.saved<float>(request.dst.count());
      sums_ = needs.slots.scratch().book<double>(request.dst.shape[kC]);
    }
    if (request.record_decisions) needs.decisions = decisions_ = needs.slots.kept<float>(request.dst.count());
  }

  void measure(const Context& c) override {
    if (options_.open_share == 0) return;
    const T* const src = c.src[0].as<const T>();
    std::vector<float> saliencies(static_cast<std::size_t>(c.dst.shape()[kN]));
    const std::int64_t channels = c.dst.shape()[kC];
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      for (std::size_t n = 0; n < saliencies.size(); ++n)
        saliencies[n] = widen(src[static_cast<std::int64_t>(n) * channels + channel]);
      c.param[0][channel] = threshold_for(saliencies, options_.open_share);
    }
  }

  void forward(const Context& c) override {
    const T* const src = c.src[0].as<const T>();
    float* const dst = c.dst.as<float>();
    if (c.open_by_image != nullptr) std::fill_n(c.open_by_image, c.dst.shape()[kN], 0);
    Random random(c.seed, Purpose::kDropout, c.step, c.layer_index);
    for_each_channel(c.dst, [&](std::int64_t n, std::int64_t channel, std::int64_t i) {
      const float q = widen(src[i]) - c.param[0][channel], score = trains_ ? q + noise(random) : q;
      const bool open = score > 0;
      dst[i] = open ? options_.value(q) : 0.0F;
      c.counts[0] += open ? 1 : 0;
      if (c.open_by_image != nullptr) c.open_by_image[n] += open ? 1 : 0;
      if (trains_) c.memory[scores_][i] = score;
      if (decisions_) c.memory[*decisions_][i] = open ? 1.0F : 0.0F;
    });
    c.counts[1] += c.dst.desc.count();
  }

  void backward(const Context& c) override {
    const T* const src = c.src[0].as<const T>();
    const float *const diff_dst = c.diff_dst[0].as<const float>(), *const scores = c.memory[scores_];
    T* const diff_src = c.diff_src[0].as<T>();
    double* const sums = c.memory[sums_];
    std::fill_n(sums, sums_.count(), 0.0);
    for_each_channel(c.dst, [&](std::int64_t n, std::int64_t channel, std::int64_t i) {
      const float q = widen(src[i]) - c.param[0][channel], gain = c.diff_open == nullptr ? 0.0F : c.diff_open[n];
      float diff = (diff_dst[i] * options_.value(q) + gain) * surrogate_slope(scores[i]);
      if (scores[i] > 0) diff += diff_dst[i] * options_.slope(q);
      sums[channel] += static_cast<double>(diff);
      if (diff_src != nullptr) narrow(diff, diff_src[i]);
    });
    for (std::int64_t channel = 0; channel < sums_.count(); ++channel)
      c.diff_param[0][channel] -= static_cast<float>(sums[channel]);
  }

 private:
  float noise(Random& random) const {
    if (options_.noise == 0) return 0;
    const double u = (random.uniform() + 0x1p-33) / (1 + 0x1p-32);  // neither 0 nor 1
    return static_cast<float>(options_.noise * std::log(u / (1 - u)));
  }

  /// Of sigmoid(alpha score).
  float surrogate_slope(float score) const {
    if (options_.sparse_backprop && score < 0) return 0;
    const auto alpha = static_cast<float>(options_.alpha);
    const float s = logistic(alpha * score);
    return alpha * s * (1 - s);
  }

  DecisionOptions options_;
  bool trains_;
  Slot<float> scores_;
  Slot<double> sums_;
  std::optional<Slot<float>> decisions_;
};

/// src: N x C, the saliency of each channel; threshold: C; dst: N x C.
///   q = src - threshold[c],  d = 1 where q + noise > 0, else 0 (a tie is closed; the noise is training's alone)
///   dst = d v(q),  v by `scale`: 2 sigmoid(q); q (FBS, whose bias is -threshold; at least 0); or 1
///   diff_src = (g v(q) + gain) alpha s (1 - s) + g d v'(q),  s = sigmoid(alpha (q + noise))
///   (gain: Context::diff_open; the first term with sparse_backprop 0 where closed),  diff_threshold = -sum(diff_src)
/// noise = `noise` log(u / (1 - u)) with u uniform: what is drawn depends on the seed, the step, the layer and the
/// place in the batch alone.
class ChannelDecision : public Layer {
 public:
  explicit ChannelDecision(Keys& keys) { options_.describe(keys); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    if (src[0].rank() != 2) throw ShapeError("", concat("expected rows N x C, got ", to_string(src[0])));
    declare.dst = src[0];
    declare.dst_type = DataType::kF32;
    declare.parameter(kThreshold, {src[0][kC]}, kThreshold, options_.initial_threshold());
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    declare.costs.push_back({0, 32, 32, open, total});  // the convolutions around it cost less, not the decision
    declare.stochastic = options_.noise > 0;
    declare.nonnegative = true;
    declare.closes_channels = true;
  }

  Attributes attributes() const override {
    Attributes attributes("channel_decision");
    attributes.set("alpha", options_.alpha);
    attributes.set("sparse_backprop", options_.sparse_backprop);
    attributes.set("noise", options_.noise);
    attributes.set("scale", options_.scale_name());
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<ChannelDecisionOp>(request.src[0].type, request, options_, needs);
  }

 private:
  DecisionOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_channel_decision(Keys& keys) {
  return std::make_unique<ChannelDecision>(keys);
}

// Source 0 is what is gated; the last one, which may be the same, tells the saliency.
std::vector<Section> expand_channel_gate(Keys& keys, const std::vector<Shape>& src) {
  DecisionOptions decision;
  double init_scale = 0.1;
  decision.describe(keys);
  keys.optional("init_scale", init_scale, at_least(0.0), "of the saliency's initial weights: 1 is what linear has");
  if (keys.documenting()) return {};
  if (src.size() != 1 && src.size() != 2)
    throw ShapeError("from",
                     concat("expected what is gated, and what tells the saliency, got ", src.size(), " sources"));
  for (const Shape& shape : src) require_image(shape);
  return {member("pool", {{"type", "global_pool"}, {"from", concat("input:", src.size() - 1)}}),
          member("saliency", {{"type", "linear"},
                              {"features", std::to_string(src[0][kC])},
                              {"bias", "no"},
                              {"init_scale", shortest(init_scale)}}),
          member("decision", {{"type", "channel_decision"},
                              {"alpha", shortest(decision.alpha)},
                              {"sparse_backprop", decision.sparse_backprop ? "yes" : "no"},
                              {"threshold_init", decision.threshold_text()},
                              {"noise", shortest(decision.noise)},
                              {"scale", decision.scale_name()}}),
          member("scale", {{"type", "multiply"}, {"from", "input:0, decision"}})};
}

}  // namespace sluice
