// Fully connected layer by oneDNN, always in fp32: it is small, and logits deserve the precision.
#include "layers/inner_product.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// dst = src W^T + bias. src: N x I, or N x C x H x W taken as I = C H W in that order; W: O x I; dst: N x O.
class Linear : public Layer {
 public:
  explicit Linear(Keys& keys) { geometry_.describe(keys); }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    geometry_.declare(src[0], declare);
    declare.costs.push_back({geometry_.channels * LinearGeometry::inputs(src[0])});
  }

  void setup(Setup& setup) override { product_ = InnerProduct(geometry_, setup, false); }

  void refresh(Context& c) override {
    product_.pack_forward(c, c.param[0], c.scratch);
    product_.pack_backward(c, c.param[0], c.scratch);
  }

  void forward(Context& c) override {
    product_.forward(c, product_.converted_source(c), geometry_.bias ? c.param[1] : nullptr);
  }

  void backward(Context& c) override {
    product_.backward_weights(c, product_.converted_source(c), c.diff_param[0]);
    if (!product_.needs_diff_src()) return;
    product_.backward_data(c);
    product_.convert_diff_src(c);
  }

 private:
  LinearGeometry geometry_;
  InnerProduct product_;
};

}  // namespace

std::unique_ptr<Layer> make_linear(Keys& keys) {
  return std::make_unique<Linear>(keys);
}

}  // namespace sluice
