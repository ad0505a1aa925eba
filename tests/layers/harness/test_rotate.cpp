// A layer with two sources and two results, as docs/adding-a-layer.md shows it: turns two images against each other.
#include <algorithm>
#include <cmath>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/layers.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

/// Calls body(channel, element) for every element, one channel after the other in each image.
template <class Body>
void for_each_element(const TensorDesc& desc, const Body& body) {
  const std::int64_t pixels = desc.shape[kH] * desc.shape[kW], channels = desc.shape[kC];
  for (std::int64_t i = 0; i < desc.count(); ++i)
    body(i / (pixels * desc.block) % (channels / desc.block) * desc.block + i % desc.block, i);
}

/// src: x, y; dst, second: N x C x H x W; angle: C.
///   dst = cos(a) x - sin(a) y
///   second = sin(a) x + cos(a) y
///   diff_x = cos(a) diff_dst + sin(a) diff_second
///   diff_y = cos(a) diff_second - sin(a) diff_dst
///   diff_angle[c] = sum over n, h, w of diff_second dst - diff_dst second
template <class T>
class RotateOp : public Op {
 public:
  explicit RotateOp(OpNeeds& needs) { needs.backward_uses_dst = true; }  // of both results

  void forward(const Context& c) override {
    const T *const x = c.src[0].as<const T>(), *const y = c.src[1].as<const T>();
    T *const dst = c.dst.as<T>(), *const second = c.more_dst[0].as<T>();
    for_each_element(c.dst.desc, [&](std::int64_t channel, std::int64_t i) {
      const float cosine = std::cos(c.param[0][channel]), sine = std::sin(c.param[0][channel]);
      narrow(cosine * widen(x[i]) - sine * widen(y[i]), dst[i]);
      narrow(sine * widen(x[i]) + cosine * widen(y[i]), second[i]);
    });
  }

  void backward(const Context& c) override {
    const T *const dst = c.dst.as<const T>(), *const second = c.more_dst[0].as<const T>();
    // Null where nobody reads that result, or learns nothing from it.
    const T *const diff_dst = c.diff_dst[0].as<const T>(), *const diff_second = c.more_diff_dst[0].as<const T>();
    T *const diff_x = c.diff_src[0].as<T>(), *const diff_y = c.diff_src[1].as<T>();  // null where nobody needs it
    for_each_element(c.dst.desc, [&](std::int64_t channel, std::int64_t i) {
      const float cosine = std::cos(c.param[0][channel]), sine = std::sin(c.param[0][channel]);
      const float g = diff_dst != nullptr ? widen(diff_dst[i]) : 0,
                  h = diff_second != nullptr ? widen(diff_second[i]) : 0;
      if (diff_x != nullptr) narrow(cosine * g + sine * h, diff_x[i]);
      if (diff_y != nullptr) narrow(cosine * h - sine * g, diff_y[i]);
      c.diff_param[0][channel] += h * widen(dst[i]) - g * widen(second[i]);
    });
  }
};

class Rotate : public Layer {
 public:
  explicit Rotate(Keys& keys) { keys.optional("angle", angle_, any_number(), "initial angle of every channel"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 2);
    require_image(src[0]);
    if (src[0] != src[1])
      throw ShapeError("from",
                       concat("expected two images of one shape, got ", to_string(src[0]), " and ", to_string(src[1])));
    declare.dst = src[0];
    declare.result("second", src[0]);  // from = NAME:second
    declare.parameter("angle", {src[0][kC]}, "angle", Init::constant(angle_));
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    return make_typed<RotateOp>(request.dst.type, needs);
  }

 private:
  double angle_ = 0;
};

}  // namespace

void register_test_rotate(Registry& registry) {
  registry.add_layer("test_rotate", "two images turned against each other",
                     [](Keys& keys) { return std::make_unique<Rotate>(keys); });
}

}  // namespace sluice
