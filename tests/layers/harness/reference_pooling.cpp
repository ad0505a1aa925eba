// References of max, average and adaptive pooling, output by output.
#include <cmath>
#include <limits>

#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

class PoolReference : public ReferenceOp {
 protected:
  explicit PoolReference(const ReferenceKeys& keys)
      : kernel_(keys.integer("kernel", 0)),
        stride_(keys.integer("stride", kernel_)),
        pad_(keys.integer("pad", 0)),
        ceil_mode_(keys.text("ceil_mode", "no") == "yes") {}

  /// Windows along an axis: those inside of the padded image, and with ceil_mode one more where pixels of the image are
  /// left over.
  std::int64_t windows(std::int64_t size) const {
    std::int64_t count = 0;
    while (count * stride_ + kernel_ <= size + 2 * pad_) ++count;
    const std::int64_t covered = (count - 1) * stride_ + kernel_;
    return ceil_mode_ && covered < size + 2 * pad_ && count * stride_ < size + pad_ ? count + 1 : count;
  }

  Shape dst_shape(const Shape& src) const { return {src[kN], src[kC], windows(src[kH]), windows(src[kW])}; }

  /// Calls body(h, w) for the pixels of window (oh, ow), row by row.
  template <class Body>
  void for_window(const Shape& src, std::int64_t oh, std::int64_t ow, Body&& body) const {
    for (std::int64_t h = oh * stride_ - pad_; h < oh * stride_ - pad_ + kernel_; ++h) {
      for (std::int64_t w = ow * stride_ - pad_; w < ow * stride_ - pad_ + kernel_; ++w) {
        if (h >= 0 && h < src[kH] && w >= 0 && w < src[kW]) body(h, w);
      }
    }
  }

  template <class Body>
  static void for_outputs(const Shape& dst, Body&& body) {
    for (std::int64_t n = 0; n < dst[kN]; ++n) {
      for (std::int64_t c = 0; c < dst[kC]; ++c) {
        for (std::int64_t oh = 0; oh < dst[kH]; ++oh) {
          for (std::int64_t ow = 0; ow < dst[kW]; ++ow) body(n, c, oh, ow);
        }
      }
    }
  }

  std::int64_t kernel_, stride_, pad_;
  bool ceil_mode_;
};

class MaxPoolReference : public PoolReference {
 public:
  explicit MaxPoolReference(const ReferenceKeys& keys) : PoolReference(keys) {}
  void forward(ReferenceCall& call) override {
    const Array& src = *call.src[0];
    call.dst = Array(dst_shape(src.shape));
    for_outputs(call.dst.shape, [&](std::int64_t n, std::int64_t c, std::int64_t oh, std::int64_t ow) {
      double best = -std::numeric_limits<double>::infinity();
      for_window(src.shape, oh, ow, [&](std::int64_t h, std::int64_t w) {
        const double x = src.at(n, c, h, w);
        if (x > best || std::isnan(x)) best = x;
      });
      call.dst.at(n, c, oh, ow) = best;
    });
  }
  void backward(ReferenceCall& call) override {
    const Array& src = *call.src[0];
    for_outputs(call.dst.shape, [&](std::int64_t n, std::int64_t c, std::int64_t oh, std::int64_t ow) {
      bool given = false;  // the first maximum takes it all
      for_window(src.shape, oh, ow, [&](std::int64_t h, std::int64_t w) {
        if (given || src.at(n, c, h, w) != call.dst.at(n, c, oh, ow)) return;
        given = true;
        call.diff_src[0].at(n, c, h, w) += call.diff_dst.at(n, c, oh, ow);
      });
    });
  }
};

class AveragePoolReference : public PoolReference {
 public:
  explicit AveragePoolReference(const ReferenceKeys& keys)
      : PoolReference(keys), count_pad_(keys.text("count_include_pad", "yes") == "yes") {}
  void forward(ReferenceCall& call) override {
    const Array& src = *call.src[0];
    call.dst = Array(dst_shape(src.shape));
    for_outputs(call.dst.shape, [&](std::int64_t n, std::int64_t c, std::int64_t oh, std::int64_t ow) {
      double sum = 0;
      for_window(src.shape, oh, ow, [&](std::int64_t h, std::int64_t w) { sum += src.at(n, c, h, w); });
      call.dst.at(n, c, oh, ow) = sum / divisor(src.shape, oh, ow);
    });
  }
  void backward(ReferenceCall& call) override {
    const Shape& src = call.src[0]->shape;
    for_outputs(call.dst.shape, [&](std::int64_t n, std::int64_t c, std::int64_t oh, std::int64_t ow) {
      const double share = call.diff_dst.at(n, c, oh, ow) / divisor(src, oh, ow);
      for_window(src, oh, ow, [&](std::int64_t h, std::int64_t w) { call.diff_src[0].at(n, c, h, w) += share; });
    });
  }

 private:
  /// The window's pixels in the image, or in the padded image.
  double divisor(const Shape& src, std::int64_t oh, std::int64_t ow) const {
    const std::int64_t margin = count_pad_ ? pad_ : 0;
    double count = 0;
    for (std::int64_t h = oh * stride_ - pad_; h < oh * stride_ - pad_ + kernel_; ++h) {
      for (std::int64_t w = ow * stride_ - pad_; w < ow * stride_ - pad_ + kernel_; ++w) {
        if (h >= -margin && h < src[kH] + margin && w >= -margin && w < src[kW] + margin) ++count;
      }
    }
    return count;
  }

  bool count_pad_;
};

/// Windows from floor(o H / size) up to ceil((o + 1) H / size), in both directions.
class AdaptivePoolReference : public ReferenceOp {
 public:
  explicit AdaptivePoolReference(const ReferenceKeys& keys) : size_(keys.integer("size", 0)) {}
  void forward(ReferenceCall& call) override {
    const Shape& src = call.src[0]->shape;
    call.dst = Array(Shape{src[kN], src[kC], size_, size_});
    for_taps(
        call, [&](double& dst, std::int64_t from, double share) { dst += (*call.src[0])[from] * share; }, call.dst);
  }
  void backward(ReferenceCall& call) override {
    for_taps(
        call, [&](double diff, std::int64_t to, double share) { call.diff_src[0][to] += diff * share; }, call.diff_dst);
  }

 private:
  struct Window {
    std::int64_t begin, end;
  };
  Window window(std::int64_t o, std::int64_t inputs) const {
    const double step = static_cast<double>(inputs) / static_cast<double>(size_);
    return {static_cast<std::int64_t>(std::floor(static_cast<double>(o) * step + 1e-9)),
            static_cast<std::int64_t>(std::ceil(static_cast<double>(o + 1) * step - 1e-9))};
  }
  /// Calls body(element of `dst`, position in the source, one over the window's pixels) for every pixel of each window.
  template <class Body, class Result>
  void for_taps(const ReferenceCall& call, Body&& body, Result& dst) const {
    const Shape& src = call.src[0]->shape;
    for (std::int64_t i = 0; i < dst.count(); ++i) {
      const Window rows = window(i / size_ % size_, src[kH]), columns = window(i % size_, src[kW]);
      const double share = 1.0 / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin));
      for (std::int64_t h = rows.begin; h < rows.end; ++h) {
        for (std::int64_t w = columns.begin; w < columns.end; ++w)
          body(dst[i], (i / (size_ * size_) * src[kH] + h) * src[kW] + w, share);
      }
    }
  }

  std::int64_t size_;
};

}  // namespace

void add_pooling_references(ReferenceTable& table) {
  table["adaptive_average_pool"] = reference<AdaptivePoolReference>();
  table["max_pool"] = reference<MaxPoolReference>();
  table["average_pool"] = reference<AveragePoolReference>();
}

}  // namespace sluice
