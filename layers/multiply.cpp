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

  void forward(const Context& c) override {
    const T* const a = c.src[0].as<const T>();
    const F* const b = c.src[1].as<const F>();
    T* const dst = c.dst.as<T>();
    each(c, [&](std::int64_t i, std::int64_t factor) { narrow(widen(a[i]) * widen(b[factor]), dst[i]); });
  }

  void backward(const Context& c) override {
    const T *const a = c.src[0].as<const T>(), *const diff = c.diff_dst[0].as<const T>();
    const F* const b = c.src[1].as<const F>();
    if (c.diff_src[0].data != nullptr) {
      T* const diff_a = c.diff_src[0].as<T>();
      each(c, [&](std::int64_t i, std::int64_t factor) { narrow(widen(diff[i]) * widen(b[factor]), diff_a[i]); });
    }
    if (c.diff_src[1].data == nullptr) return;
    double* const sums = c.memory[sums_];  // each is of one thread, in one order
    std::fill_n(sums, sums_.count(), 0.0);
    each(c, [&](std::int64_t i, std::int64_t factor) {
      sums[factor] += static_cast<double>(widen(diff[i]) * widen(a[i]));
    });
    F* const diff_b = c.diff_src[1].as<F>();
    for (std::int64_t i = 0; i < sums_.count(); ++i) narrow(static_cast<float>(sums[i]), diff_b[i]);
  }

 private:
  /// Calls body(element, its factor's element): the same, or that of its image and channel.
  template <class Body>
  static void each(const Context& c, Body&& body) {
    const TensorDesc& desc = c.dst.desc;
    if (c.src[1].shape() == desc.shape) {
      parallel_for(desc.count(), 1 << 13, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) body(i, i);
      });
      return;
    }
    const std::int64_t pixels = desc.shape[kH] * desc.shape[kW], block = desc.block;
    parallel_for(desc.count() / pixels / block, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        for (std::int64_t i = 0; i < pixels * block; ++i) body(item * pixels * block + i, item * block + i % block);
      }
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
