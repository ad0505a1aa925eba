// Reference of channel-gated convolution: plain loops over the published definition.
#include <algorithm>
#include <cmath>

#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

double sigmoid(double z) {
  return z < 0 ? std::exp(z) / (1 + std::exp(z)) : 1 / (1 + std::exp(-z));
}

/// Position of one multiply-add.
struct Product {
  std::int64_t n, o, p, q;  ///< of the result
  std::int64_t i, k, l;     ///< of the weight
  std::int64_t h, w;        ///< of the source
};

struct Both {
  Array base, rest;
};

/// What an open gate gives, and what a closed one does.
struct Ends {
  Array open, closed;
};

/// Mean and deviation of each channel.
struct Statistics {
  std::vector<double> mean, deviation;
};

class CgConvReference : public ReferenceOp {
 public:
  explicit CgConvReference(const ReferenceKeys& keys)
      : channels_(keys.integer("channels", 0)),
        kernel_(keys.integer("kernel", 0)),
        stride_(keys.integer("stride", 1)),
        pad_(keys.integer("pad", 0)),
        dilation_(keys.integer("dilation", 1)),
        partitions_(keys.integer("partitions", 4)),
        group_(keys.text("own_chunk", "no") == "yes"),
        shuffle_(keys.text("shuffle", "no") == "yes"),
        alpha_(keys.number("alpha", 2.0)),
        sparse_(keys.text("sparse_backprop", "no") == "yes"),
        eps_(keys.number("gate_eps", 1e-5)),
        momentum_(keys.number("gate_momentum", 0.1)),
        two_norms_(keys.text("two_norms", "no") == "yes") {
    const std::string granularity = keys.text("granularity", "element");
    slices_ = granularity == "pixel" ? 1 : granularity == "slice" ? (channels_ + 15) / 16 : channels_;
    whole_images_ = granularity == "channel";
  }

  void forward(ReferenceCall& call) override {
    const Both y = products(call);
    const Statistics s = call.training ? batch_statistics(y.base) : running_statistics(call, "gate");
    if (call.training) update_running(call, "gate", y.base);
    if (call.training && two_norms_) update_running(call, "full", sum(y));
    const Ends ends = ends_of(call, y, s);
    const Array now = scores(call, y.base, s);
    if (!call.held) *call.scores = now;
    call.dst = Array(y.base.shape);
    call.open.assign(index(y.base.shape[kN]), 0.0);
    for_results(call.dst, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const std::int64_t slice = slice_of(o);
      const double at = call.scores->at(n, slice, pixel(p), pixel(q)), step = at > 0 ? 1 : 0;
      const double change = sigmoid(alpha_ * now.at(n, slice, pixel(p), pixel(q))) - sigmoid(alpha_ * at);
      const double gate = step + (sparse_ && at < 0 ? 0 : change);
      call.open[index(n)] += gate;
      const double closed = ends.closed.at(n, o, p, q);
      call.dst.at(n, o, p, q) = closed + gate * (ends.open.at(n, o, p, q) - closed);
    });
  }

  void backward(ReferenceCall& call) override {
    const Both y = products(call);
    const Statistics s = batch_statistics(y.base);
    const Array score = scores(call, y.base, s);
    const Array diff_score = surrogate_gradient(call, ends_of(call, y, s), score);
    Both diff{Array(y.base.shape), Array(y.base.shape)};
    Array diff_q(y.base.shape);
    Ends diff_ends{Array(y.base.shape), Array(y.base.shape)};
    const std::vector<double> full_scale = scales(call, "full", sum(y)), base_scale = scales(call, "base", y.base);
    for_results(diff_q, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const std::int64_t slice = slice_of(o);
      const double g = call.diff_dst.at(n, o, p, q);
      diff_q.at(n, o, p, q) = diff_score.at(n, slice, pixel(p), pixel(q)) / outputs(slice, diff_q);
      const bool open = score.at(n, slice, pixel(p), pixel(q)) > 0;
      diff_ends.open.at(n, o, p, q) = open ? g : 0;
      diff_ends.closed.at(n, o, p, q) = open ? 0 : g;
      diff.rest.at(n, o, p, q) = full_scale[index(o)] * diff_ends.open.at(n, o, p, q);
      diff.base.at(n, o, p, q) = diff.rest.at(n, o, p, q) + base_scale[index(o)] * diff_ends.closed.at(n, o, p, q) +
                                 diff_q.at(n, o, p, q) / s.deviation[index(o)];
      (*call.diff_param.at("threshold"))[o] -= diff_q.at(n, o, p, q);
    });
    if (call.rounded) round_both(diff);  // the executor's first pass leaves them so
    subtract_means(y.base, s, diff_q, diff.base);
    if (two_norms_) norms_backward(call, y, diff_ends, diff);
    if (call.rounded) round_both(diff);
    convolution_backward(call, diff);
  }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::int64_t slice_of(std::int64_t o) const { return slices_ == channels_ ? o : slices_ == 1 ? 0 : o / 16; }
  SliceRange range_of(std::int64_t slice) const { return slice_range(slice, slices_, channels_); }
  /// Where the decision about row or column p stands.
  std::int64_t pixel(std::int64_t p) const { return whole_images_ ? 0 : p; }
  /// That share a decision.
  double outputs(std::int64_t slice, const Array& y) const {
    return static_cast<double>(range_of(slice).width() * (whole_images_ ? y.shape[kH] * y.shape[kW] : 1));
  }

  /// The mask M: does weight [o][i] belong to the base path?
  bool in_base(std::int64_t o, std::int64_t i, std::int64_t inputs) const {
    const std::int64_t chunk = inputs / partitions_;
    if (!group_) return i < chunk;
    const std::int64_t output_chunk = o / (channels_ / partitions_);
    return i >= output_chunk * chunk && i < (output_chunk + 1) * chunk;
  }

  /// Where channel c of the source goes when N, p, C / p, H, W becomes N, C / p, p, H, W.
  std::int64_t place(std::int64_t c, std::int64_t inputs) const {
    if (!shuffle_) return c;
    const std::int64_t each = inputs / partitions_;
    return c % each * partitions_ + c / each;
  }
  Array shuffled(const Array& x) const {
    Array y(x.shape);
    for_results(x, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      y.at(n, place(c, x.shape[kC]), h, w) = x.at(n, c, h, w);
    });
    return y;
  }

  std::int64_t size(std::int64_t src) const {
    std::int64_t count = 0;  // of filter positions that fit
    for (std::int64_t first = -pad_; first + dilation_ * (kernel_ - 1) < src + pad_; first += stride_) ++count;
    return count;
  }

  template <class Body>
  static void for_results(const Array& y, Body&& body) {
    for (std::int64_t n = 0; n < y.shape[kN]; ++n) {
      for (std::int64_t o = 0; o < y.shape[kC]; ++o) {
        for (std::int64_t p = 0; p < y.shape[kH]; ++p) {
          for (std::int64_t q = 0; q < y.shape[kW]; ++q) body(n, o, p, q);
        }
      }
    }
  }

  template <class Body>
  void for_products(const Shape& s, const Array& y, Body&& body) const {
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      for (std::int64_t i = 0; i < s[kC]; ++i) {
        for (std::int64_t k = 0; k < kernel_; ++k) {
          for (std::int64_t l = 0; l < kernel_; ++l) {
            const std::int64_t h = p * stride_ - pad_ + k * dilation_, w = q * stride_ - pad_ + l * dilation_;
            if (h >= 0 && w >= 0 && h < s[kH] && w < s[kW]) body(Product{n, o, p, q, i, k, l, h, w});
          }
        }
      }
    });
  }

  /// Yp = conv(X, W (.) M) and Yr = conv(X, W (.) (1 - M)).
  Both products(const ReferenceCall& call) const {
    const Array x = shuffled(*call.src[0]);
    const Array& weight = *call.param.at("weight");
    const Array zeros(Shape{x.shape[kN], channels_, size(x.shape[kH]), size(x.shape[kW])});
    Both y{zeros, zeros};
    for_products(x.shape, zeros, [&](const Product& m) {
      Array& to = in_base(m.o, m.i, x.shape[kC]) ? y.base : y.rest;
      to.at(m.n, m.o, m.p, m.q) += weight.at(m.o, m.i, m.k, m.l) * x.at(m.n, m.i, m.h, m.w);
    });
    if (call.rounded) {
      round_to_bf16(y.base);
      round_to_bf16(y.rest);
    }
    return y;
  }

  void convolution_backward(ReferenceCall& call, const Both& diff) const {
    const Array x = shuffled(*call.src[0]);
    const Array& weight = *call.param.at("weight");
    Array diff_x(x.shape);
    for_products(x.shape, diff.base, [&](const Product& m) {
      const double g = (in_base(m.o, m.i, x.shape[kC]) ? diff.base : diff.rest).at(m.n, m.o, m.p, m.q);
      call.diff_param.at("weight")->at(m.o, m.i, m.k, m.l) += g * x.at(m.n, m.i, m.h, m.w);
      diff_x.at(m.n, m.i, m.h, m.w) += g * weight.at(m.o, m.i, m.k, m.l);
    });
    for_results(x, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      call.diff_src[0].at(n, c, h, w) = diff_x.at(n, place(c, x.shape[kC]), h, w);
    });
  }

  Statistics batch_statistics(const Array& y) const {
    Statistics s{means(y), {}};
    for (const double variance : variances(y, s.mean)) s.deviation.push_back(std::sqrt(variance + eps_));
    return s;
  }
  Statistics running_statistics(const ReferenceCall& call, const std::string& name) const {
    Statistics s{call.buffer.at(name + "_running_mean")->values, {}};
    for (const double variance : call.buffer.at(name + "_running_var")->values)
      s.deviation.push_back(std::sqrt(variance + eps_));
    return s;
  }
  double count(const Array& y) const { return static_cast<double>(y.count() / channels_); }

  std::vector<double> means(const Array& y) const {
    std::vector<double> mean(index(channels_), 0.0);
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      mean[index(o)] += y.at(n, o, p, q) / count(y);
    });
    return mean;
  }
  std::vector<double> variances(const Array& y, const std::vector<double>& mean) const {
    std::vector<double> variance(index(channels_), 0.0);
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      variance[index(o)] += std::pow(y.at(n, o, p, q) - mean[index(o)], 2) / count(y);
    });
    return variance;
  }

  void update_running(ReferenceCall& call, const std::string& name, const Array& y) const {
    Array& running_mean = *call.buffer.at(name + "_running_mean");
    Array& running_var = *call.buffer.at(name + "_running_var");
    const std::vector<double> mean = means(y), variance = variances(y, mean);
    const double unbiased = count(y) > 1 ? count(y) / (count(y) - 1) : 1;
    for (std::int64_t o = 0; o < channels_; ++o) {
      running_mean[o] = (1 - momentum_) * running_mean[o] + momentum_ * mean[index(o)];
      running_var[o] = (1 - momentum_) * running_var[o] + momentum_ * variance[index(o)] * unbiased;
    }
  }

  /// The mean of q = BN0(Yp) - threshold over the channels of each decision.
  Array scores(const ReferenceCall& call, const Array& y, const Statistics& s) const {
    const Array& threshold = *call.param.at("threshold");
    Array score(Shape{y.shape[kN], slices_, whole_images_ ? 1 : y.shape[kH], whole_images_ ? 1 : y.shape[kW]});
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t w) {
      const double q = (y.at(n, o, p, w) - s.mean[index(o)]) / s.deviation[index(o)] - threshold[o];
      score.at(n, slice_of(o), pixel(p), pixel(w)) += q / outputs(slice_of(o), y);
    });
    return score;
  }

  static void round_both(Both& diff) {
    round_to_bf16(diff.base);
    round_to_bf16(diff.rest);
  }

  static Array sum(const Both& y) {
    Array full = y.base;
    for (std::int64_t i = 0; i < full.count(); ++i) full[i] += y.rest[i];
    return full;
  }

  /// An affine normalisation's slope in training, by channel: weight / deviation; 1 where there is none.
  std::vector<double> scales(const ReferenceCall& call, const std::string& name, const Array& x) const {
    std::vector<double> scale(index(channels_), 1.0);
    if (!two_norms_) return scale;
    const Statistics s = batch_statistics(x);
    for (std::int64_t o = 0; o < channels_; ++o)
      scale[index(o)] = (*call.param.at(name + "_weight"))[o] / s.deviation[index(o)];
    return scale;
  }

  Array normalise(const ReferenceCall& call, const std::string& name, const Array& x, const Statistics& s) const {
    Array dst(x.shape);
    for_results(x, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const double normalised = (x.at(n, o, p, q) - s.mean[index(o)]) / s.deviation[index(o)];
      dst.at(n, o, p, q) = (*call.param.at(name + "_weight"))[o] * normalised + (*call.param.at(name + "_bias"))[o];
    });
    return dst;
  }

  Ends ends_of(const ReferenceCall& call, const Both& y, const Statistics& base) const {
    if (!two_norms_) return {sum(y), y.base};
    const Statistics full = call.training ? batch_statistics(sum(y)) : running_statistics(call, "full");
    return {normalise(call, "full", sum(y), full), normalise(call, "base", y.base, base)};
  }

  /// Parameters' gradients, and the parts of both normalisations' gradients that come from their statistics.
  void norms_backward(ReferenceCall& call, const Both& y, const Ends& diff_ends, Both& diff) const {
    const auto backward_of = [&](const std::string& name, const Array& x, const Array& g, Array& diff_x) {
      const Statistics s = batch_statistics(x);
      Array scaled(x.shape);
      for_results(x, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
        const double at = g.at(n, o, p, q);
        (*call.diff_param.at(name + "_bias"))[o] += at;
        (*call.diff_param.at(name + "_weight"))[o] +=
            at * (x.at(n, o, p, q) - s.mean[index(o)]) / s.deviation[index(o)];
        scaled.at(n, o, p, q) = (*call.param.at(name + "_weight"))[o] * at;
      });
      subtract_means(x, s, scaled, diff_x);
    };
    Array through_full(y.base.shape);
    backward_of("full", sum(y), diff_ends.open, through_full);
    for (std::int64_t i = 0; i < through_full.count(); ++i) {
      diff.rest[i] += through_full[i];
      diff.base[i] += through_full[i];
    }
    backward_of("base", y.base, diff_ends.closed, diff.base);
  }

  /// u: sum of g (open - closed), and of what an open output costs, over the decision's channels, times the sigmoid's
  /// slope.
  Array surrogate_gradient(const ReferenceCall& call, const Ends& ends, const Array& score) const {
    Array u(score.shape);
    for_results(ends.open, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      const std::int64_t slice = slice_of(o);
      const double z = alpha_ * score.at(n, slice, pixel(p), pixel(q)), s = sigmoid(z);
      if (sparse_ && z < 0) return;
      const double difference = ends.open.at(n, o, p, q) - ends.closed.at(n, o, p, q);
      const double cost = call.diff_open.empty() ? 0 : call.diff_open[index(n)];
      u.at(n, slice, pixel(p), pixel(q)) += (call.diff_dst.at(n, o, p, q) * difference + cost) * alpha_ * s * (1 - s);
    });
    return u;
  }

  /// The parts of the normalisation's gradient that come from its statistics.
  void subtract_means(const Array& y, const Statistics& s, const Array& diff_q, Array& diff) const {
    std::vector<double> mean(index(channels_), 0.0), dot(index(channels_), 0.0);
    const auto normalised = [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      return (y.at(n, o, p, q) - s.mean[index(o)]) / s.deviation[index(o)];
    };
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      mean[index(o)] += diff_q.at(n, o, p, q) / count(y);
      dot[index(o)] += diff_q.at(n, o, p, q) * normalised(n, o, p, q) / count(y);
    });
    for_results(y, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      diff.at(n, o, p, q) -= (mean[index(o)] + normalised(n, o, p, q) * dot[index(o)]) / s.deviation[index(o)];
    });
  }

  std::int64_t channels_, kernel_, stride_, pad_, dilation_, partitions_, slices_;
  bool group_, shuffle_, whole_images_ = false;
  double alpha_;
  bool sparse_;
  double eps_, momentum_;
  bool two_norms_;
};

}  // namespace

SliceRange slice_range(std::int64_t slice, std::int64_t slices, std::int64_t channels) {
  if (slices == channels) return {slice, slice + 1};
  if (slices == 1) return {0, channels};
  return {16 * slice, std::min(channels, 16 * slice + 16)};
}

ReferenceTable gated_references() {
  ReferenceTable table = {
      {"cg_conv", [](const ReferenceKeys& keys) { return std::make_unique<CgConvReference>(keys); }}};
  add_pg_reference(table);
  add_channel_decision_reference(table);
  return table;
}

}  // namespace sluice
