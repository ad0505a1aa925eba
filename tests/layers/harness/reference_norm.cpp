// Reference of batch normalisation.
#include <cmath>

#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

struct Moments {
  double mean, variance;  // biased
};

/// y = weight (x - mean) / sqrt(variance + eps) + bias over N, H and W; running statistics with the unbiased variance.
class BatchNormReference : public ReferenceOp {
 public:
  explicit BatchNormReference(const ReferenceKeys& keys)
      : eps_(keys.number("eps", 1e-5)),
        momentum_(keys.number("momentum", 0.1)),
        affine_(keys.text("affine", "yes") == "yes") {}

  void forward(ReferenceCall& call) override {
    const Array& x = *call.src[0];
    call.dst = Array(x.shape);
    for (std::int64_t c = 0; c < x.shape[kC]; ++c) {
      Array &mean = *call.buffer.at("running_mean"), &variance = *call.buffer.at("running_var");
      Moments m{mean[c], variance[c]};
      if (call.training) {
        m = moments(x, c);
        const double n = static_cast<double>(x.count() / x.shape[kC]);
        mean[c] = (1 - momentum_) * mean[c] + momentum_ * m.mean;
        variance[c] = (1 - momentum_) * variance[c] + momentum_ * m.variance * (n > 1 ? n / (n - 1) : 1);
      }
      const double weight = affine_ ? (*call.param.at("weight"))[c] : 1;
      const double bias = affine_ ? (*call.param.at("bias"))[c] : 0;
      for_pixels(x, [&](std::int64_t n, std::int64_t h, std::int64_t w) {
        call.dst.at(n, c, h, w) = weight * (x.at(n, c, h, w) - m.mean) / std::sqrt(m.variance + eps_) + bias;
      });
    }
  }

  void backward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &dy = call.diff_dst;
    const double count = static_cast<double>(x.count() / x.shape[kC]);
    for (std::int64_t c = 0; c < x.shape[kC]; ++c) {
      const Moments m = moments(x, c);
      const double deviation = std::sqrt(m.variance + eps_);
      double sum = 0, dot = 0;
      for_pixels(x, [&](std::int64_t n, std::int64_t h, std::int64_t w) {
        sum += dy.at(n, c, h, w);
        dot += dy.at(n, c, h, w) * (x.at(n, c, h, w) - m.mean) / deviation;
      });
      if (affine_) {
        (*call.diff_param.at("weight"))[c] += dot;
        (*call.diff_param.at("bias"))[c] += sum;
      }
      const double weight = affine_ ? (*call.param.at("weight"))[c] : 1;
      for_pixels(x, [&](std::int64_t n, std::int64_t h, std::int64_t w) {
        const double normalised = (x.at(n, c, h, w) - m.mean) / deviation;
        call.diff_src[0].at(n, c, h, w) =
            weight / deviation * (dy.at(n, c, h, w) - sum / count - normalised * dot / count);
      });
    }
  }

 private:
  template <class Body>
  static void for_pixels(const Array& x, Body&& body) {
    for (std::int64_t n = 0; n < x.shape[kN]; ++n) {
      for (std::int64_t h = 0; h < x.shape[kH]; ++h) {
        for (std::int64_t w = 0; w < x.shape[kW]; ++w) body(n, h, w);
      }
    }
  }

  static Moments moments(const Array& x, std::int64_t c) {
    const double count = static_cast<double>(x.count() / x.shape[kC]);
    Moments m{0, 0};
    for_pixels(x, [&](std::int64_t n, std::int64_t h, std::int64_t w) { m.mean += x.at(n, c, h, w) / count; });
    for_pixels(x, [&](std::int64_t n, std::int64_t h, std::int64_t w) {
      m.variance += (x.at(n, c, h, w) - m.mean) * (x.at(n, c, h, w) - m.mean) / count;
    });
    return m;
  }

  double eps_, momentum_;
  bool affine_;
};

}  // namespace

void add_norm_references(ReferenceTable& table) {
  table["batchnorm"] = reference<BatchNormReference>();
}

}  // namespace sluice
