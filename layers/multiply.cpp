// The product of two activations, or of an activation with a number for each channel of each image (Hu et al. 2018,
// Squeeze-and-Excitation Networks).
#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// T: of the first source, its gradient and the result; F: of the second one.
template <class T, class F>
class MultiplyOp : public Op {
 public:
  MultiplyOp(const OpRequest& request, OpNeeds& needs) {
    needs.backward_uses_src = true;
    if (request.training()) sums_ = needs.slots.scratch().book<double>(request.src[1].count());
  }

  void forward(const Context& c) override { scale(c, c.src[0].as<const T>(), c.dst.as<T>()); }

  void backward(const Context& c) override {
    if (c.diff_src[0].data != nullptr) scale(c, c.diff_dst[0].as<const T>(), c.diff_src[0].as<T>());
    if (c.diff_src[1].data == nullptr) return;
    const T *const a = c.src[0].as<const T>(), *const diff = c.diff_dst[0].as<const T>();
    double* const sums = c.memory[sums_];  // each is of one thread, in one order
    std::fill_n(sums, sums_.count(), 0.0);
    each_run(c, pixels(c), [&](std::int64_t at, std::int64_t factor, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i)
        sums[factor + i] += static_cast<double>(widen(diff[at + i]) * widen(a[at + i]));
    });
    F* const diff_b = c.diff_src[1].as<F>();
    for (std::int64_t i = 0; i < sums_.count(); ++i) narrow(static_cast<float>(sums[i]), diff_b[i]);
  }

 private:
  /// y = x b
  static void scale(const Context& c, const T* x, T* y) {
    const F* const b = c.src[1].as<const F>();
    each_run(c, 1, [&](std::int64_t at, std::int64_t factor, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) narrow(widen(x[at + i]) * widen(b[factor + i]), y[at + i]);
    });
  }

  static bool by_channel(const Context& c) { return c.src[1].shape() != c.dst.shape(); }
  static std::int64_t pixels(const Context& c) { return by_channel(c) ? c.dst.shape()[kH] * c.dst.shape()[kW] : 1; }

  /// Calls body(element, its factor's element, how many go on so). Where the factors are by channel a thread has whole
  /// groups of `together` pixels.
  template <class Body>
  static void each_run(const Context& c, std::int64_t together, Body&& body) {
    constexpr std::int64_t kGrain = 1 << 13;
    const std::int64_t count = c.dst.desc.count(), block = c.dst.desc.block, per_image = pixels(c);
    if (!by_channel(c)) {
      return parallel_for(count, kGrain,
                          [&](std::int64_t begin, std::int64_t end) { body(begin, begin, end - begin); });
    }
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (block * together));
    parallel_for(count / block / together, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t pixel = begin * together; pixel < end * together; ++pixel)
        body(pixel * block, pixel / per_image * block, block);
    });
  }

  Slot<double> sums_;
};

/// dst = a b. a: any activation; b: one of the same shape, or N x C for a of N x C x H x W. diff_a = diff_dst b,
/// diff_b = diff_dst a, summed over H and W where b has none, in double.
class Multiply : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 2);
    const bool by_channel = src[0].rank() == 4 && src[1] == Shape{src[0][kN], src[0][kC]};
    if (src[0] != src[1] && !by_channel) {
      throw ShapeError("from", concat("the second source must have the first one's shape, or a number for each of its "
                                      "channels, got ",
                                      to_string(src[0]), " and ", to_string(src[1])));
    }
    declare.dst = src[0];
    declare.like_src = true;
    declare.keeps_nonnegative = true;
    if (by_channel) declare.channel_factors = 1;
  }

  Attributes attributes() const override { return Attributes("multiply"); }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    const DataType a = request.src[0].type, b = request.src[1].type;
    if (a == DataType::kF32 && b == DataType::kF32) return std::make_unique<MultiplyOp<float, float>>(request, needs);
    if (a == DataType::kF32) return std::make_unique<MultiplyOp<float, BFloat16>>(request, needs);
    if (b == DataType::kF32) return std::make_unique<MultiplyOp<BFloat16, float>>(request, needs);
    return std::make_unique<MultiplyOp<BFloat16, BFloat16>>(request, needs);
  }
};

}  // namespace

std::unique_ptr<Layer> make_multiply(Keys&) {
  return std::make_unique<Multiply>();
}

}  // namespace sluice
