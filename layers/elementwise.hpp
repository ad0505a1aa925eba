// Layers that are a function of each element: a struct with the function and its derivative makes one.
#pragma once

#include <memory>

#include "core/base/parallel.hpp"
#include "core/graph/layer.hpp"
#include "layers/layers.hpp"

namespace sluice {

/// dst = f.value(src), diff_src = diff_dst f.slope(src), element by element.
template <class T, class F>
class ElementwiseOp : public Op {
 public:
  ElementwiseOp(const F& f, OpNeeds& needs) : f_(f) {
    needs.backward_uses_src = true;
    needs.dst_may_overwrite_src = true;
  }

  void forward(const Context& c) override {
    const T* const src = c.src[0].as<const T>();
    T* const dst = c.dst.as<T>();
    each(c, [&](std::int64_t i) { narrow(f_.value(widen(src[i])), dst[i]); });
  }

  void backward(const Context& c) override {
    const T *const src = c.src[0].as<const T>(), *const diff_dst = c.diff_dst[0].as<const T>();
    T* const diff_src = c.diff_src[0].as<T>();
    each(c, [&](std::int64_t i) { narrow(widen(diff_dst[i]) * f_.slope(widen(src[i])), diff_src[i]); });
  }

 private:
  template <class Body>
  static void each(const Context& c, Body&& body) {
    parallel_for(c.dst.desc.count(), 1 << 13, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) body(i);
    });
  }

  F f_;
};

/// An activation: any source, a result like it. F is made from the layer's keys and has
///   float value(float x) const;             the function
///   float slope(float x) const;             its derivative
///   static constexpr bool kNonnegative;     no value is below 0
///   Attributes attributes() const;          with the kind of the layer
template <class F>
class ElementwiseLayer : public Layer {
 public:
  explicit ElementwiseLayer(Keys& keys) : f_(keys) {}

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.nonnegative = F::kNonnegative;
  }

  Attributes attributes() const override { return f_.attributes(); }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.dst.type == DataType::kBF16) return std::make_unique<ElementwiseOp<BFloat16, F>>(f_, needs);
    return std::make_unique<ElementwiseOp<float, F>>(f_, needs);
  }

 private:
  F f_;
};

}  // namespace sluice
