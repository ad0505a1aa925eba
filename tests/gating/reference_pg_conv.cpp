// Reference of precision-gated convolution: the published definition over the reference of a plain convolution, with
// every gradient that the layer leaves out because it cancels.
#include <cmath>

#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/quantize_reference.hpp"

namespace sluice {
namespace {

double sigmoid(double z) {
  return z < 0 ? std::exp(z) / (1 + std::exp(z)) : 1 / (1 + std::exp(-z));
}

template <class Body>
void for_results(const Array& y, Body&& body) {
  for (std::int64_t n = 0; n < y.shape[kN]; ++n) {
    for (std::int64_t o = 0; o < y.shape[kC]; ++o) {
      for (std::int64_t p = 0; p < y.shape[kH]; ++p) {
        for (std::int64_t q = 0; q < y.shape[kW]; ++q) body(n, o, p, q);
      }
    }
  }
}

Array difference(const Array& a, const Array& b) {
  Array result = a;
  for (std::int64_t i = 0; i < a.count(); ++i) result[i] -= b[i];
  return result;
}

class PgConvReference : public ReferenceOp {
 public:
  explicit PgConvReference(const ReferenceKeys& keys)
      : plain_(standard_references().at("conv")(keys)),
        keys_(keys),
        bits_(keys.integer("activation_bits", 3)),
        step_(std::pow(2.0, static_cast<double>(bits_ - keys.integer("prediction_bits", 2)))),
        channels_(keys.integer("channels", 0)),
        alpha_(keys.number("alpha", 5.0)),
        clip_(keys.number("threshold_clip", 0.0)),
        sparse_(keys.text("sparse_backprop", "no") == "yes") {
    keys_.activation_bits = bits_;
    const std::string granularity = keys.text("granularity", "element");
    slices_ = granularity == "pixel" ? 1 : granularity == "slice" ? (channels_ + 15) / 16 : channels_;
  }

  void forward(ReferenceCall& call) override {
    const Products y = products(call, reference_scales(keys_, call));
    const Array now = scores(call, y.high);
    if (!call.held) *call.scores = now;
    call.dst = Array(y.high.shape);
    call.open.assign(static_cast<std::size_t>(y.high.shape[kN]), 0.0);
    for_results(call.dst, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const std::int64_t slice = slice_of(o);
      const double at = call.scores->at(n, slice, p, q), step = at > 0 ? 1 : 0;
      const double change = sigmoid(alpha_ * now.at(n, slice, p, q)) - sigmoid(alpha_ * at);
      const double gate = step + (sparse_ && at < 0 ? 0 : change);
      call.open[static_cast<std::size_t>(n)] += gate;
      call.dst.at(n, o, p, q) = y.high.at(n, o, p, q) + gate * y.low.at(n, o, p, q);
    });
  }

  void backward(ReferenceCall& call) override {
    const Products y = products(call, batch_scales(keys_, *call.src[0]));
    const Array score = scores(call, y.high), u = surrogate_gradient(call, y.low, score);
    Array diff_high(y.high.shape), diff_low(y.high.shape);
    for_results(diff_high, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const std::int64_t slice = slice_of(o);
      const double g = call.diff_dst.at(n, o, p, q);
      const double own = u.at(n, slice, p, q) / static_cast<double>(range_of(slice).width());
      diff_high.at(n, o, p, q) = g + own;
      diff_low.at(n, o, p, q) = score.at(n, slice, p, q) > 0 ? g : 0;
      if (threshold(call, o) == (*call.param.at("threshold"))[o]) (*call.diff_param.at("threshold"))[o] -= own;
    });
    if (call.rounded) round_to_bf16(diff_high);
    const Array &src = *call.src[0], &weight = *call.param.at("weight");
    Array diff_weight(weight.shape);
    const Array of_high = convolution_backward(call, y.truncated, diff_high, diff_weight);
    const Array of_low = convolution_backward(call, y.rest, diff_low, diff_weight);
    // T gets the gradient of `high` less that of `low`, Q that of `low`; both pass it on.
    Array diff_src = straight_through_source(keys_, src, difference(of_high, of_low));
    const Array of_quantized = straight_through_source(keys_, src, of_low);
    for (std::int64_t i = 0; i < diff_src.count(); ++i) diff_src[i] += of_quantized[i];
    call.diff_src[0] = std::move(diff_src);
    const Array passed = straight_through_weights(keys_, weight, std::move(diff_weight));
    for (std::int64_t i = 0; i < passed.count(); ++i)
      (*call.diff_param.at("weight"))[i] += weight_rescale(keys_, weight) * passed[i];
  }

 private:
  struct Products {
    Array truncated, rest;  ///< T(src), Q(src) - T(src)
    Array high, low;        ///< their products
  };

  std::int64_t slice_of(std::int64_t o) const { return slices_ == channels_ ? o : slices_ == 1 ? 0 : o / 16; }
  SliceRange range_of(std::int64_t slice) const { return slice_range(slice, slices_, channels_); }

  Products products(const ReferenceCall& call, const Scales& scales) const {
    const Array &x = *call.src[0], w = quantized_weights(keys_, *call.param.at("weight"));
    Products y;
    y.truncated = truncated_source(keys_, x, scales, step_);
    y.rest = difference(quantized_source(keys_, x, scales), y.truncated);
    y.high = convolution(y.truncated, w);
    y.low = convolution(y.rest, w);
    if (call.rounded) {
      round_to_bf16(y.high);
      round_to_bf16(y.low);
    }
    return y;
  }

  Array convolution(const Array& x, const Array& w) const {
    ReferenceCall inner;
    inner.src = {&x};
    inner.param["weight"] = &w;
    plain_->forward(inner);
    return inner.dst;
  }

  /// Adds to diff_weight, returns the gradient of x.
  Array convolution_backward(const ReferenceCall& call, const Array& x, const Array& diff, Array& diff_weight) const {
    const Array w = quantized_weights(keys_, *call.param.at("weight"));
    ReferenceCall inner;
    inner.src = {&x};
    inner.param["weight"] = &w;
    inner.dst = Array(diff.shape);
    inner.diff_dst = diff;
    inner.diff_src.emplace_back(x.shape);
    inner.diff_param["weight"] = &diff_weight;
    plain_->backward(inner);
    return inner.diff_src[0];
  }

  double threshold(const ReferenceCall& call, std::int64_t o) const {
    const double own = (*call.param.at("threshold"))[o];
    return clip_ > 0 ? std::min(std::max(own, -clip_), clip_) : own;
  }

  /// The mean of q = A - threshold over the channels of each decision.
  Array scores(const ReferenceCall& call, const Array& high) const {
    Array score(Shape{high.shape[kN], slices_, high.shape[kH], high.shape[kW]});
    for_results(high, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const double distance = high.at(n, o, p, q) - threshold(call, o);
      score.at(n, slice_of(o), p, q) += distance / static_cast<double>(range_of(slice_of(o)).width());
    });
    return score;
  }

  Array surrogate_gradient(const ReferenceCall& call, const Array& low, const Array& score) const {
    Array u(score.shape);
    for_results(low, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const double z = alpha_ * score.at(n, slice_of(o), p, q), s = sigmoid(z);
      if (sparse_ && s < 0.5) return;
      const double cost = call.diff_open.empty() ? 0 : call.diff_open[static_cast<std::size_t>(n)];
      u.at(n, slice_of(o), p, q) += (call.diff_dst.at(n, o, p, q) * low.at(n, o, p, q) + cost) * alpha_ * s * (1 - s);
    });
    return u;
  }

  std::unique_ptr<ReferenceOp> plain_;
  QuantizeKeys keys_;
  std::int64_t bits_;
  double step_;
  std::int64_t channels_, slices_ = 0;
  double alpha_, clip_;
  bool sparse_;
};

}  // namespace

void add_pg_reference(ReferenceTable& table) {
  table["pg_conv"] = [](const ReferenceKeys& keys) { return std::make_unique<PgConvReference>(keys); };
}

}  // namespace sluice
