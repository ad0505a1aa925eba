// References that are linear in the source: convolution, fully connected, mean over the image, shortcut A, zeros
// around.
#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

/// y[n,o,p,q] = bias[o] + sum over i, k, l of weight[o,i,k,l] x[n, g I/G + i, p stride - pad + k dilation, ...], with
/// zeros outside of the image; g = o / (O / G).
class ConvReference : public ReferenceOp {
 public:
  explicit ConvReference(const ReferenceKeys& keys)
      : channels_(keys.integer("channels", 0)),
        kernel_(keys.integer("kernel", 0)),
        stride_(keys.integer("stride", 1)),
        pad_(keys.integer("pad", 0)),
        dilation_(keys.integer("dilation", 1)),
        groups_(keys.integer("groups", 1)),
        bias_(keys.text("bias", "no") == "yes") {}

  void forward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &weight = *call.param.at("weight");
    call.dst = Array({x.shape[kN], channels_, size(x.shape[kH]), size(x.shape[kW])});
    if (bias_) {
      for_results(call.dst, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
        call.dst.at(n, o, p, q) = (*call.param.at("bias"))[o];
      });
    }
    for_products(call, [&](const At& y, const At& w, const At& s) {
      call.dst.at(y.a, y.b, y.c, y.d) += weight.at(w.a, w.b, w.c, w.d) * x.at(s.a, s.b, s.c, s.d);
    });
  }

  void backward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &weight = *call.param.at("weight");
    Array& diff_weight = *call.diff_param.at("weight");
    for_products(call, [&](const At& y, const At& w, const At& s) {
      const double dy = call.diff_dst.at(y.a, y.b, y.c, y.d);
      diff_weight.at(w.a, w.b, w.c, w.d) += dy * x.at(s.a, s.b, s.c, s.d);
      call.diff_src[0].at(s.a, s.b, s.c, s.d) += dy * weight.at(w.a, w.b, w.c, w.d);
    });
    if (!bias_) return;
    for_results(call.dst, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      (*call.diff_param.at("bias"))[o] += call.diff_dst.at(n, o, p, q);
    });
  }

 private:
  struct At {
    std::int64_t a, b, c, d;
  };

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
  void for_products(const ReferenceCall& call, Body&& body) const {
    const Shape& s = call.src[0]->shape;
    const std::int64_t inputs = s[kC] / groups_, outputs = channels_ / groups_;
    for_results(call.dst, [&](std::int64_t n, std::int64_t o, std::int64_t p, std::int64_t q) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        for (std::int64_t k = 0; k < kernel_; ++k) {
          for (std::int64_t l = 0; l < kernel_; ++l) {
            const std::int64_t h = p * stride_ - pad_ + k * dilation_, w = q * stride_ - pad_ + l * dilation_;
            if (h < 0 || w < 0 || h >= s[kH] || w >= s[kW]) continue;
            body(At{n, o, p, q}, At{o, i, k, l}, At{n, o / outputs * inputs + i, h, w});
          }
        }
      }
    });
  }

  std::int64_t channels_, kernel_, stride_, pad_, dilation_, groups_;
  bool bias_;
};

/// y[n,o] = bias[o] + sum over i of weight[o,i] x[n,i]; an image counts as its elements in the order C, H, W.
class LinearReference : public ReferenceOp {
 public:
  explicit LinearReference(const ReferenceKeys& keys)
      : features_(keys.integer("features", 0)), bias_(keys.text("bias", "yes") == "yes") {}

  void forward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &weight = *call.param.at("weight");
    const std::int64_t images = x.shape[0], inputs = x.count() / images;
    call.dst = Array({images, features_});
    for (std::int64_t n = 0; n < images; ++n) {
      for (std::int64_t o = 0; o < features_; ++o) {
        double sum = bias_ ? (*call.param.at("bias"))[o] : 0;
        for (std::int64_t i = 0; i < inputs; ++i) sum += weight[o * inputs + i] * x[n * inputs + i];
        call.dst[n * features_ + o] = sum;
      }
    }
  }

  void backward(ReferenceCall& call) override {
    const Array &x = *call.src[0], &weight = *call.param.at("weight");
    const std::int64_t images = x.shape[0], inputs = x.count() / images;
    for (std::int64_t n = 0; n < images; ++n) {
      for (std::int64_t o = 0; o < features_; ++o) {
        const double dy = call.diff_dst[n * features_ + o];
        for (std::int64_t i = 0; i < inputs; ++i) {
          call.diff_src[0][n * inputs + i] += weight[o * inputs + i] * dy;
          (*call.diff_param.at("weight"))[o * inputs + i] += x[n * inputs + i] * dy;
        }
        if (bias_) (*call.diff_param.at("bias"))[o] += dy;
      }
    }
  }

 private:
  std::int64_t features_;
  bool bias_;
};

class GlobalPoolReference : public ReferenceOp {
 public:
  explicit GlobalPoolReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    const Array& x = *call.src[0];
    const std::int64_t pixels = x.shape[kH] * x.shape[kW];
    call.dst = Array({x.shape[kN], x.shape[kC]});
    for (std::int64_t i = 0; i < x.count(); ++i) call.dst[i / pixels] += x[i] / static_cast<double>(pixels);
  }
  void backward(ReferenceCall& call) override {
    const std::int64_t pixels = call.src[0]->shape[kH] * call.src[0]->shape[kW];
    for (std::int64_t i = 0; i < call.src[0]->count(); ++i)
      call.diff_src[0][i] = call.diff_dst[i / pixels] / static_cast<double>(pixels);
  }
};

/// Every stride-th pixel; zeros for (O - I) / 2 channels before and behind.
class PadShortcutReference : public ReferenceOp {
 public:
  explicit PadShortcutReference(const ReferenceKeys& keys)
      : channels_(keys.integer("channels", 0)), stride_(keys.integer("stride", 1)) {}

  void forward(ReferenceCall& call) override {
    const Shape& s = call.src[0]->shape;
    call.dst = Array({s[kN], channels_, (s[kH] + stride_ - 1) / stride_, (s[kW] + stride_ - 1) / stride_});
    for_copies(
        call, [&](double from, double& to, double&) { to = from; }, call.dst);
  }
  void backward(ReferenceCall& call) override {
    for_copies(
        call, [&](double, double& to, double& diff) { diff = to; }, call.diff_dst);
  }

 private:
  template <class Body>
  void for_copies(ReferenceCall& call, Body&& body, Array& result) const {
    const Array& x = *call.src[0];
    Array unused(x.shape);
    Array& diff = call.diff_src.empty() ? unused : call.diff_src[0];
    const std::int64_t pad = (channels_ - x.shape[kC]) / 2;
    for (std::int64_t n = 0; n < x.shape[kN]; ++n) {
      for (std::int64_t c = 0; c < x.shape[kC]; ++c) {
        for (std::int64_t h = 0; h < x.shape[kH]; h += stride_) {
          for (std::int64_t w = 0; w < x.shape[kW]; w += stride_)
            body(x.at(n, c, h, w), result.at(n, c + pad, h / stride_, w / stride_), diff.at(n, c, h, w));
        }
      }
    }
  }

  std::int64_t channels_, stride_;
};

/// The image with zeros around it.
class ZeroPadReference : public ReferenceOp {
 public:
  explicit ZeroPadReference(const ReferenceKeys& keys)
      : top_(keys.integer("top", 0)),
        left_(keys.integer("left", 0)),
        bottom_(keys.integer("bottom", 0)),
        right_(keys.integer("right", 0)) {}

  void forward(ReferenceCall& call) override {
    const Shape& s = call.src[0]->shape;
    call.dst = Array({s[kN], s[kC], top_ + s[kH] + bottom_, left_ + s[kW] + right_});
    for_pixels(s, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      call.dst.at(n, c, h + top_, w + left_) = call.src[0]->at(n, c, h, w);
    });
  }
  void backward(ReferenceCall& call) override {
    for_pixels(call.src[0]->shape, [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
      call.diff_src[0].at(n, c, h, w) = call.diff_dst.at(n, c, h + top_, w + left_);
    });
  }

 private:
  template <class Body>
  static void for_pixels(const Shape& shape, Body&& body) {
    for (std::int64_t n = 0; n < shape[kN]; ++n) {
      for (std::int64_t c = 0; c < shape[kC]; ++c) {
        for (std::int64_t h = 0; h < shape[kH]; ++h) {
          for (std::int64_t w = 0; w < shape[kW]; ++w) body(n, c, h, w);
        }
      }
    }
  }

  std::int64_t top_, left_, bottom_, right_;
};

}  // namespace

void add_linear_references(ReferenceTable& table) {
  table["conv"] = reference<ConvReference>();
  table["linear"] = reference<LinearReference>();
  table["global_pool"] = reference<GlobalPoolReference>();
  table["pad_shortcut"] = reference<PadShortcutReference>();
  table["zero_pad"] = reference<ZeroPadReference>();
}

}  // namespace sluice
