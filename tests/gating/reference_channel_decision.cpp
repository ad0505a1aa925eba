// Reference of decisions about whole channels.
#include <cmath>

#include "core/base/random.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

class ChannelDecisionReference : public ReferenceOp {
 public:
  explicit ChannelDecisionReference(const ReferenceKeys& keys)
      : alpha_(keys.number("alpha", 2)),
        noise_(keys.number("noise", 0)),
        sparse_(keys.text("sparse_backprop", "no") == "yes"),
        scale_(keys.text("scale", "sigmoid")) {}

  void forward(ReferenceCall& call) override {
    const Array q = distances(call), now = noisy(call, q);
    if (!call.held) *call.scores = now;
    call.dst = Array(q.shape);
    call.open.assign(static_cast<std::size_t>(q.shape[0]), 0.0);
    for (std::int64_t i = 0; i < q.count(); ++i) {
      const double at = (*call.scores)[i], step = at > 0 ? 1 : 0;
      const double change = sparse_ && at < 0 ? 0 : sigmoid(alpha_ * now[i]) - sigmoid(alpha_ * at);
      call.dst[i] = (step + change) * value(q[i]);
      call.open[static_cast<std::size_t>(i / q.shape[1])] += step + change;
    }
  }

  void backward(ReferenceCall& call) override {
    const Array q = distances(call), score = noisy(call, q);
    for (std::int64_t i = 0; i < q.count(); ++i) {
      const double s = sigmoid(alpha_ * score[i]);
      const double cost = call.diff_open.empty() ? 0 : call.diff_open[static_cast<std::size_t>(i / q.shape[1])];
      double diff = sparse_ && score[i] < 0 ? 0 : (call.diff_dst[i] * value(q[i]) + cost) * alpha_ * s * (1 - s);
      if (score[i] > 0) diff += call.diff_dst[i] * slope(q[i]);
      call.diff_src[0][i] = diff;
      (*call.diff_param.at("threshold"))[i % q.shape[1]] -= diff;
    }
  }

 private:
  double value(double q) const {
    if (scale_ == "none") return 1;
    return scale_ == "saliency" ? std::max(q, 0.0) : 2 / (1 + std::exp(-q));
  }
  double slope(double q) const {
    if (scale_ == "none") return 0;
    return scale_ == "saliency" ? (q > 0 ? 1 : 0) : 2 * sigmoid(q) * sigmoid(-q);
  }

  static Array distances(const ReferenceCall& call) {
    Array q = *call.src[0];
    for (std::int64_t i = 0; i < q.count(); ++i) q[i] -= (*call.param.at("threshold"))[i % q.shape[1]];
    return q;
  }

  /// By what training decides; N x C x 1 x 1, as the scores of other gates.
  Array noisy(const ReferenceCall& call, const Array& q) const {
    Array score(Shape{q.shape[0], q.shape[1], 1, 1});
    score.values = q.values;
    if (!call.training || noise_ == 0) return score;
    Random random(call.seed, Purpose::kDropout, call.step, static_cast<std::uint32_t>(call.node));
    for (double& x : score.values) {
      const double u = (random.uniform() + std::exp2(-33)) / (1 + std::exp2(-32));
      x += noise_ * std::log(u / (1 - u));
    }
    return score;
  }

  double alpha_, noise_;
  bool sparse_;
  std::string scale_;
};

}  // namespace

void add_channel_decision_reference(ReferenceTable& table) {
  table["channel_decision"] = [](const ReferenceKeys& keys) {
    return std::make_unique<ChannelDecisionReference>(keys);
  };
}

}  // namespace sluice
