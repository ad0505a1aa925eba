// Max and average pooling, with PyTorch's shapes and divisors, and adaptive average pooling.
//
// Our own kernels rather than oneDNN's: they keep NaNs and PyTorch's choice among equal maxima, know ceil_mode's
// divisors, and backward writes every gradient once.
#include <algorithm>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/pool_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostKernel = 255;  // its taps fit 16 bits

/// src: N x C x H x W, dst: N x C x OH x OW with OH = (H + 2 pad - kernel) / stride + 1, rounded down or (ceil_mode)
/// up.
struct PoolGeometry {
  std::int64_t kernel = 0, stride = 0, pad = 0;
  bool ceil_mode = false;

  std::int64_t outputs(std::int64_t size) const {
    const std::int64_t room = size + 2 * pad - kernel;
    std::int64_t count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if ((count - 1) * stride >= size + pad) --count;  // the last window must start at a pixel
    return count;
  }

  /// For each output along one axis: the inputs that its window covers.
  std::vector<PoolSpan> windows(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t begin = o * stride - pad;
      spans.push_back({static_cast<std::int32_t>(std::max<std::int64_t>(begin, 0)),
                       static_cast<std::int32_t>(std::min(begin + kernel, size))});
    }
    return spans;
  }

  /// For each input along one axis: the outputs whose windows cover it.
  std::vector<PoolSpan> viewers(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t i = 0; i < size; ++i) {
      const std::int64_t first = std::max<std::int64_t>(0, (i + pad - kernel + stride) / stride);
      const std::int64_t end = std::min(outputs, (i + pad) / stride + 1);
      spans.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(end)});
    }
    return spans;
  }
};

struct AverageGeometry : PoolGeometry {
  bool count_pad = true;

  /// For each output along one axis: one over the inputs that its window counts.
  std::vector<float> shares(std::int64_t size, std::int64_t outputs) const {
    std::vector<float> result;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t begin = o * stride - pad;
      const std::int64_t real = std::min(begin + kernel, size) - std::max<std::int64_t>(begin, 0);
      const std::int64_t padded = std::min(begin + kernel, size + pad) - begin;
      result.push_back(1.0F / static_cast<float>(count_pad ? padded : real));
    }
    return result;
  }
};

/// As many windows as outputs, wherever they lie: output o covers the inputs from floor(o size / outputs) up to, but
/// not including, ceil((o + 1) size / outputs).
struct AdaptiveGeometry {
  static constexpr std::int64_t kernel = 0, stride = 0, pad = 0;  ///< windows have none in common

  std::vector<PoolSpan> windows(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t o = 0; o < outputs; ++o) {
      spans.push_back({static_cast<std::int32_t>(o * size / outputs),
                       static_cast<std::int32_t>(((o + 1) * size + outputs - 1) / outputs)});
    }
    return spans;
  }

  std::vector<PoolSpan> viewers(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t i = 0; i < size; ++i) {
      spans.push_back({static_cast<std::int32_t>(i * outputs / size),
                       static_cast<std::int32_t>(((i + 1) * outputs + size - 1) / size)});
    }
    return spans;
  }

  std::vector<float> shares(std::int64_t size, std::int64_t outputs) const {
    std::vector<float> result;
    for (const PoolSpan& span : windows(size, outputs))
      result.push_back(1.0F / static_cast<float>(span.end - span.begin));
    return result;
  }
};

/// The tables of one executor's pooling.
template <class T>
class PoolOp : public Op {
 public:
  template <class Geometry>
  PoolOp(const OpRequest& request, const Geometry& g, OpNeeds& needs) {
    const Shape &src = request.src[0].shape, &dst = request.dst.shape;
    src_rows_ = g.windows(src[kH], dst[kH]);
    src_columns_ = g.windows(src[kW], dst[kW]);
    dst_rows_ = g.viewers(src[kH], dst[kH]);
    dst_columns_ = g.viewers(src[kW], dst[kW]);
    plane_.src_width = src[kW];
    plane_.dst_width = dst[kW];
    plane_.block = request.src[0].block;
    plane_.kernel = static_cast<std::int32_t>(g.kernel);
    plane_.stride = static_cast<std::int32_t>(g.stride);
    plane_.pad = static_cast<std::int32_t>(g.pad);
    plane_.src_rows = src_rows_.data();
    plane_.src_columns = src_columns_.data();
    plane_.dst_rows = dst_rows_.data();
    plane_.dst_columns = dst_columns_.data();
    needs.kernel = "sluice:" + to_string(cpu_isa());
  }

 protected:
  /// Calls body(row, plane of src, plane of dst, how far the latter is from the first) for every row of every plane of
  /// an activation like `desc`, in parallel. Both pointers may be of gradients.
  template <class Src, class Dst, class Body>
  static void for_rows(const TensorDesc& desc, const Context& c, Src* src, Dst* dst, Body&& body) {
    const std::int64_t rows = desc.shape[kH], planes = desc.shape[kN] * desc.shape[kC] / desc.block;
    const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / (desc.shape[kW] * desc.block));
    const std::int64_t src_size = plane_size(c.src[0].desc), dst_size = plane_size(c.dst.desc);
    parallel_for(planes * rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t plane = i / rows;
        body(i % rows, src + plane * src_size, dst + plane * dst_size, plane * dst_size);
      }
    });
  }

  static std::int64_t plane_size(const TensorDesc& desc) { return desc.shape[kH] * desc.shape[kW] * desc.block; }

  PoolPlane plane_;

 private:
  std::vector<PoolSpan> src_rows_, src_columns_, dst_rows_, dst_columns_;
};

template <class T>
class MaxPoolInference : public PoolOp<T> {
 public:
  using PoolOp<T>::PoolOp;

  void forward(const Context& c) override {
    this->for_rows(c.dst.desc, c, c.src[0].as<const T>(), c.dst.as<T>(),
                   [&](std::int64_t row, const T* src, T* dst, std::int64_t) {
                     pool_kernels<T>().max(this->plane_, row, src, dst, nullptr);
                   });
  }
};

/// Notes for every output which tap of its window was the largest.
template <class T>
class MaxPoolTraining : public PoolOp<T> {
 public:
  MaxPoolTraining(const OpRequest& request, const PoolGeometry& g, OpNeeds& needs)
      : PoolOp<T>(request, g, needs),
        tap_bytes_(g.kernel > kMostByteTaps ? 2 : 1),
        taps_(needs.slots.saved<std::uint8_t>(request.dst.count() * tap_bytes_)) {}

  void forward(const Context& c) override {
    std::uint8_t* const taps = c.memory[taps_];
    this->for_rows(c.dst.desc, c, c.src[0].as<const T>(), c.dst.as<T>(),
                   [&](std::int64_t row, const T* src, T* dst, std::int64_t at) {
                     pool_kernels<T>().max(this->plane_, row, src, dst, taps + at * tap_bytes_);
                   });
  }

  void backward(const Context& c) override {
    const std::uint8_t* const taps = c.memory[taps_];
    this->for_rows(c.src[0].desc, c, c.diff_src[0].as<T>(), c.diff_dst[0].as<const T>(),
                   [&](std::int64_t row, T* diff_src, const T* diff_dst, std::int64_t at) {
                     pool_kernels<T>().max_backward(this->plane_, row, diff_dst, taps + at * tap_bytes_, diff_src);
                   });
  }

 private:
  std::int64_t tap_bytes_;
  Slot<std::uint8_t> taps_;
};

template <class T>
class AveragePoolOp : public PoolOp<T> {
 public:
  template <class Geometry>
  AveragePoolOp(const OpRequest& request, const Geometry& g, OpNeeds& needs)
      : PoolOp<T>(request, g, needs),
        row_shares_(g.shares(request.src[0].shape[kH], request.dst.shape[kH])),
        column_shares_(g.shares(request.src[0].shape[kW], request.dst.shape[kW])) {
    this->plane_.row_share = row_shares_.data();
    this->plane_.column_share = column_shares_.data();
  }

  void forward(const Context& c) override {
    this->for_rows(c.dst.desc, c, c.src[0].as<const T>(), c.dst.as<T>(),
                   [&](std::int64_t row, const T* src, T* dst, std::int64_t) {
                     pool_kernels<T>().average(this->plane_, row, src, dst);
                   });
  }

  void backward(const Context& c) override {
    this->for_rows(c.src[0].desc, c, c.diff_src[0].as<T>(), c.diff_dst[0].as<const T>(),
                   [&](std::int64_t row, T* diff_src, const T* diff_dst, std::int64_t) {
                     pool_kernels<T>().average_backward(this->plane_, row, diff_dst, diff_src);
                   });
  }

 private:
  std::vector<float> row_shares_, column_shares_;
};

class Pooling : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    const std::int64_t kernel = geometry_.kernel, pad = geometry_.pad;
    if (kernel > src[0][kH] + 2 * pad || kernel > src[0][kW] + 2 * pad) {
      throw ShapeError("kernel",
                       concat("the window covers ", kernel, "x", kernel, " pixels but the padded image has only ",
                              src[0][kH] + 2 * pad, "x", src[0][kW] + 2 * pad));
    }
    declare.dst = {src[0][kN], src[0][kC], geometry_.outputs(src[0][kH]), geometry_.outputs(src[0][kW])};
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
  }

 protected:
  explicit Pooling(Keys& keys) {
    PoolGeometry& g = geometry_;
    keys.required("kernel", g.kernel, between(std::int64_t{1}, kMostKernel), "height and width of the window");
    keys.optional("stride", g.stride, at_least(1), "step from one window to the next; unset: kernel");
    if (g.stride == 0) g.stride = g.kernel;
    keys.optional("pad", g.pad, at_least(0), "pixels around the image on each side");
    keys.optional("ceil_mode", g.ceil_mode, "also windows that reach beyond the padded image, from a pixel of it on");
    if (g.kernel > 0 && g.pad >= g.kernel) {
      keys.error("pad", concat("pad = ", g.pad, " must be below kernel = ", g.kernel, ", or windows hold no pixel"));
    }
  }

  Attributes describe(const char* kind) const {
    Attributes attributes(kind);
    attributes.set("kernel", geometry_.kernel);
    attributes.set("stride", geometry_.stride);
    attributes.set("pad", geometry_.pad);
    attributes.set("ceil_mode", geometry_.ceil_mode);
    return attributes;
  }

  PoolGeometry geometry_;
};

/// The largest value of each window; padding never wins. The gradient goes to the maximum alone: to the first of
/// several equal ones (row by row, as in PyTorch), or to a NaN.
class MaxPool : public Pooling {
 public:
  explicit MaxPool(Keys& keys) : Pooling(keys) {}

  Attributes attributes() const override { return describe("max_pool"); }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return make_typed<MaxPoolTraining>(request.dst.type, request, geometry_, needs);
    return make_typed<MaxPoolInference>(request.dst.type, request, geometry_, needs);
  }
};

/// The mean of each window. Padding counts as zeros, or (count_include_pad = no) not at all; what ceil_mode adds beyond
/// the padding never counts.
class AveragePool : public Pooling {
 public:
  explicit AveragePool(Keys& keys) : Pooling(keys) {
    keys.optional("count_include_pad", count_include_pad_, "padding counts as zeros in the mean");
  }

  Attributes attributes() const override {
    Attributes attributes = describe("average_pool");
    attributes.set("count_include_pad", count_include_pad_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<AveragePoolOp>(request.dst.type, request, AverageGeometry{geometry_, count_include_pad_}, needs);
  }

 private:
  bool count_include_pad_ = true;
};

/// The mean of each of size x size windows, which cover the image whatever its size; neighbours may overlap by a pixel.
/// src: N x C x H x W, dst: N x C x size x size.
class AdaptiveAveragePool : public Layer {
 public:
  explicit AdaptiveAveragePool(Keys& keys) {
    keys.required("size", size_, between(1, 65536), "height and width of the result");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    require_image(src[0]);
    declare.dst = {src[0][kN], src[0][kC], size_, size_};
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
  }

  Attributes attributes() const override {
    Attributes attributes("adaptive_average_pool");
    attributes.set("size", size_);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<AveragePoolOp>(request.dst.type, request, AdaptiveGeometry{}, needs);
  }

 private:
  std::int64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Layer> make_adaptive_average_pool(Keys& keys) {
  return std::make_unique<AdaptiveAveragePool>(keys);
}

std::unique_ptr<Layer> make_max_pool(Keys& keys) {
  return std::make_unique<MaxPool>(keys);
}

std::unique_ptr<Layer> make_average_pool(Keys& keys) {
  return std::make_unique<AveragePool>(keys);
}

}  // namespace sluice
