// Max and average pooling, with PyTorch's shapes and divisors.
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

/// src: N x C x H x W, dst: N x C x OH x OW with OH = (H + 2 pad - kernel) / stride + 1, rounded down or (ceil_mode)
/// up.
class Pooling : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    require_image(src[0]);
    if (kernel_ > src[0][kH] + 2 * pad_ || kernel_ > src[0][kW] + 2 * pad_) {
      throw ShapeError("kernel",
                       concat("the window covers ", kernel_, "x", kernel_, " pixels but the padded image has only ",
                              src[0][kH] + 2 * pad_, "x", src[0][kW] + 2 * pad_));
    }
    declare.dst = {src[0][kN], src[0][kC], outputs(src[0][kH]), outputs(src[0][kW])};
    declare.like_src = true;
    declare.keeps_nonnegative = true;
  }

  void setup(Setup& setup) override {
    const Shape &src = setup.src[0].shape, &dst = setup.dst.shape;
    src_rows_ = windows(src[kH], dst[kH]);
    src_columns_ = windows(src[kW], dst[kW]);
    dst_rows_ = viewers(src[kH], dst[kH]);
    dst_columns_ = viewers(src[kW], dst[kW]);
    plane_.src_width = src[kW];
    plane_.dst_width = dst[kW];
    plane_.block = setup.src[0].block;
    plane_.kernel = static_cast<std::int32_t>(kernel_);
    plane_.stride = static_cast<std::int32_t>(stride_);
    plane_.pad = static_cast<std::int32_t>(pad_);
    plane_.src_rows = src_rows_.data();
    plane_.src_columns = src_columns_.data();
    plane_.dst_rows = dst_rows_.data();
    plane_.dst_columns = dst_columns_.data();
    setup.kernel = "sluice:" + to_string(cpu_isa());
  }

 protected:
  explicit Pooling(Keys& keys) {
    keys.required("kernel", kernel_, between(std::int64_t{1}, kMostKernel), "height and width of the window");
    keys.optional("stride", stride_, at_least(1), "step from one window to the next; unset: kernel");
    if (stride_ == 0) stride_ = kernel_;
    keys.optional("pad", pad_, at_least(0), "pixels around the image on each side");
    keys.optional("ceil_mode", ceil_mode_, "also windows that reach beyond the padded image, from a pixel of it on");
    if (kernel_ > 0 && pad_ >= kernel_) {
      keys.error("pad", concat("pad = ", pad_, " must be below kernel = ", kernel_, ", or windows hold no pixel"));
    }
  }

  /// Calls body(plane, row) for every row of every plane of an activation, in parallel.
  template <class Body>
  void for_rows(const TensorDesc& desc, Body&& body) const {
    const std::int64_t rows = desc.shape[kH], planes = desc.shape[kN] * desc.shape[kC] / desc.block;
    const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / (desc.shape[kW] * desc.block));
    parallel_for(planes * rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) body(i / rows, i % rows);
    });
  }

  static std::int64_t plane_size(const TensorDesc& desc) { return desc.shape[kH] * desc.shape[kW] * desc.block; }

  static constexpr std::int64_t kMostKernel = 255;  // its taps fit 16 bits
  std::int64_t kernel_ = 0, stride_ = 0, pad_ = 0;
  bool ceil_mode_ = false;
  PoolPlane plane_;

 private:
  std::int64_t outputs(std::int64_t size) const {
    const std::int64_t room = size + 2 * pad_ - kernel_;
    std::int64_t count = (room + (ceil_mode_ ? stride_ - 1 : 0)) / stride_ + 1;
    if ((count - 1) * stride_ >= size + pad_) --count;  // the last window must start at a pixel
    return count;
  }

  /// For each output along one axis: the inputs that its window covers.
  std::vector<PoolSpan> windows(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t begin = o * stride_ - pad_;
      spans.push_back({static_cast<std::int32_t>(std::max<std::int64_t>(begin, 0)),
                       static_cast<std::int32_t>(std::min(begin + kernel_, size))});
    }
    return spans;
  }

  /// For each input along one axis: the outputs whose windows cover it.
  std::vector<PoolSpan> viewers(std::int64_t size, std::int64_t outputs) const {
    std::vector<PoolSpan> spans;
    for (std::int64_t i = 0; i < size; ++i) {
      const std::int64_t first = std::max<std::int64_t>(0, (i + pad_ - kernel_ + stride_) / stride_);
      const std::int64_t end = std::min(outputs, (i + pad_) / stride_ + 1);
      spans.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(end)});
    }
    return spans;
  }

  std::vector<PoolSpan> src_rows_, src_columns_, dst_rows_, dst_columns_;
};

/// The largest value of each window; padding never wins. The gradient goes to the maximum alone: to the first of
/// several equal ones (row by row, as in PyTorch), or to a NaN.
class MaxPool : public Pooling {
 public:
  explicit MaxPool(Keys& keys) : Pooling(keys) {}

  void setup(Setup& setup) override {
    Pooling::setup(setup);
    training_ = setup.mode == Mode::kTraining;
    if (training_) taps_ = setup.request_saved(setup.dst.count() * tap_bytes());
  }

  void forward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

 private:
  std::int64_t tap_bytes() const { return kernel_ > kMostByteTaps ? 2 : 1; }

  char* taps(const Context& c, std::int64_t plane) const {
    if (!training_) return nullptr;
    return static_cast<char*>(c.saved[static_cast<std::size_t>(taps_)]) + plane * plane_size(c.dst.desc) * tap_bytes();
  }

  template <class T>
  void forward_as(Context& c) const {
    const std::int64_t src_size = plane_size(c.src[0].desc), dst_size = plane_size(c.dst.desc);
    for_rows(c.dst.desc, [&](std::int64_t plane, std::int64_t row) {
      pool_kernels<T>().max(plane_, row, c.src[0].as<const T>() + plane * src_size, c.dst.as<T>() + plane * dst_size,
                            taps(c, plane));
    });
  }

  template <class T>
  void backward_as(Context& c) const {
    const std::int64_t src_size = plane_size(c.src[0].desc), dst_size = plane_size(c.dst.desc);
    for_rows(c.src[0].desc, [&](std::int64_t plane, std::int64_t row) {
      pool_kernels<T>().max_backward(plane_, row, c.diff_dst[0].as<const T>() + plane * dst_size, taps(c, plane),
                                     c.diff_src[0].as<T>() + plane * src_size);
    });
  }

  bool training_ = false;
  int taps_ = -1;
};

/// The mean of each window. Padding counts as zeros, or (count_include_pad = no) not at all; what ceil_mode adds beyond
/// the padding never counts.
class AveragePool : public Pooling {
 public:
  explicit AveragePool(Keys& keys) : Pooling(keys) {
    keys.optional("count_include_pad", count_include_pad_, "padding counts as zeros in the mean");
  }

  void setup(Setup& setup) override {
    Pooling::setup(setup);
    row_shares_ = shares(setup.src[0].shape[kH], setup.dst.shape[kH]);
    column_shares_ = shares(setup.src[0].shape[kW], setup.dst.shape[kW]);
    plane_.row_share = row_shares_.data();
    plane_.column_share = column_shares_.data();
  }

  void forward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

 private:
  /// For each output along one axis: one over the inputs that its window counts.
  std::vector<float> shares(std::int64_t size, std::int64_t outputs) const {
    std::vector<float> result;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t begin = o * stride_ - pad_;
      const std::int64_t real = std::min(begin + kernel_, size) - std::max<std::int64_t>(begin, 0);
      const std::int64_t padded = std::min(begin + kernel_, size + pad_) - begin;
      result.push_back(1.0F / static_cast<float>(count_include_pad_ ? padded : real));
    }
    return result;
  }

  template <class T>
  void forward_as(Context& c) const {
    const std::int64_t src_size = plane_size(c.src[0].desc), dst_size = plane_size(c.dst.desc);
    for_rows(c.dst.desc, [&](std::int64_t plane, std::int64_t row) {
      pool_kernels<T>().average(plane_, row, c.src[0].as<const T>() + plane * src_size,
                                c.dst.as<T>() + plane * dst_size);
    });
  }

  template <class T>
  void backward_as(Context& c) const {
    const std::int64_t src_size = plane_size(c.src[0].desc), dst_size = plane_size(c.dst.desc);
    for_rows(c.src[0].desc, [&](std::int64_t plane, std::int64_t row) {
      pool_kernels<T>().average_backward(plane_, row, c.diff_dst[0].as<const T>() + plane * dst_size,
                                         c.diff_src[0].as<T>() + plane * src_size);
    });
  }

  bool count_include_pad_ = true;
  std::vector<float> row_shares_, column_shares_;
};

}  // namespace

std::unique_ptr<Layer> make_max_pool(Keys& keys) {
  return std::make_unique<MaxPool>(keys);
}

std::unique_ptr<Layer> make_average_pool(Keys& keys) {
  return std::make_unique<AveragePool>(keys);
}

}  // namespace sluice
