// Fully connected layer by oneDNN, always in fp32: it is small, and logits deserve the precision.
#include "layers/inner_product.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class LinearOp : public Op {
 public:
  LinearOp(const OpRequest& request, const LinearGeometry& geometry, OpNeeds& needs)
      : bias_(geometry.bias), product_(geometry, request, false, needs, needs.slots.frames()) {}

  void refresh(const Context& c) override {
    product_.pack_forward(c.memory, c.param[0]);
    product_.pack_backward(c.memory, c.param[0]);
  }

  void forward(const Context& c) override {
    product_.forward(c, product_.forward_source(c), bias_ ? c.param[1] : nullptr);
  }

  void backward(const Context& c) override {
    product_.backward_weights(c, product_.backward_source(c), c.diff_param[0]);
    if (product_.needs_diff_src()) product_.convert_diff_src(c, product_.backward_data(c));
  }

 private:
  bool bias_;
  InnerProduct product_;
};

/// dst = src W^T + bias. src: N x I, or N x C x H x W taken as I = C H W in that order; W: O x I; dst: N x O.
class Linear : public Layer {
 public:
  explicit Linear(Keys& keys) { geometry_.describe(keys); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    geometry_.declare(src[0], declare);
    declare.costs.push_back({geometry_.features * LinearGeometry::inputs(src[0])});
    declare.multiplies_channels = true;
  }

  Attributes attributes() const override {
    Attributes attributes("linear");
    geometry_.describe(attributes);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    needs.packed_params = {0};  // the weights
    return std::make_unique<LinearOp>(request, geometry_, needs);
  }

 private:
  LinearGeometry geometry_;
};

}  // namespace

std::unique_ptr<Layer> make_linear(Keys& keys) {
  return std::make_unique<Linear>(keys);
}

}  // namespace sluice
