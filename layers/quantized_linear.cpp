// Fully connected layer with quantised weights and source (layers/quantizer.hpp), in fp32 as linear is: products of
// levels are as exact there.
#include <algorithm>

#include "layers/inner_product.hpp"
#include "layers/layers.hpp"
#include "layers/quantizer.hpp"

namespace sluice {
namespace {

/// What training and inference have in common: weights in levels, products of levels, what they stand for.
class QuantizedLinearOp : public Op {
 public:
  void refresh(const Context& c) override {
    float* const levels = c.memory[levels_];
    const float unit = weights_.quantize(c.param[0], levels);
    *c.memory[weight_unit_] = unit;
    product_.pack_forward(c.memory, levels);
    weights_.restore(unit, levels);
    product_.pack_backward(c.memory, levels);
  }

 protected:
  QuantizedLinearOp(const OpRequest& request, const LinearGeometry& geometry, const QuantizationOptions& options,
                    OpNeeds& needs, Frames frames)
      : geometry_(geometry), options_(options) {
    const std::int64_t inputs = LinearGeometry::inputs(request.src[0].shape);
    weights_ = QuantizedWeights(options, geometry.features * inputs, inputs);
    levels_ = frames.refresh.book<float>(weights_.count());
    product_ = InnerProduct(geometry, request, quantizes(), needs, frames);
    weight_unit_ = needs.slots.kept<float>(1);
  }

  bool quantizes() const { return !options_.activations().is_identity(); }
  /// Levels of the source in `levels`, or the source itself.
  const float* operand(const Context& c, float scale, float* levels) const {
    const float* const source = product_.forward_source(c);
    if (!quantizes()) return source;
    quantize(options_.activations(), scale, {product_.source(), const_cast<float*>(source)},
             {product_.source(), levels});
    return levels;
  }

  /// dst = operand W^T times what levels stand for, + bias
  void multiply(const Context& c, const float* operand, float unit) {
    product_.forward(c, operand, nullptr);
    unit *= *c.memory[weight_unit_];
    float* const dst = c.dst.as<float>();
    for (std::int64_t i = 0; i < c.dst.desc.count(); ++i)
      dst[i] = dst[i] * unit + (geometry_.bias ? c.param[1][i % geometry_.features] : 0.0F);
  }

  LinearGeometry geometry_;
  QuantizationOptions options_;
  QuantizedWeights weights_;
  InnerProduct product_;

 private:
  Slot<float> levels_, weight_unit_;
};

class QuantizedLinearInference : public QuantizedLinearOp {
 public:
  QuantizedLinearInference(const OpRequest& request, const LinearGeometry& geometry, const QuantizationOptions& options,
                           OpNeeds& needs)
      : QuantizedLinearOp(request, geometry, options, needs, needs.slots.frames()) {}

  void forward(const Context& c) override {
    const float scale = stored_scale(options_, c.src[0], *c.buffer[0]);
    float* const levels = quantizes() ? product_.own_source(c) : nullptr;
    multiply(c, operand(c, scale, levels), options_.activations().unit(scale));
  }
};

class QuantizedLinearTraining : public QuantizedLinearOp {
 public:
  QuantizedLinearTraining(const OpRequest& request, const LinearGeometry& geometry, const QuantizationOptions& options,
                          OpNeeds& needs)
      : QuantizedLinearTraining(request, geometry, options, needs, book(request, geometry, needs)) {}

  void forward(const Context& c) override {
    const float scale = batch_scale(options_, c.src[0], *c.buffer[0], c.share),
                unit = options_.activations().unit(scale);
    *c.memory[unit_] = unit;
    multiply(c, operand(c, scale, quantizes() ? c.memory[operand_].as<float>() : nullptr), unit);
  }

  void backward(const Context& c) override {
    float* const diff = c.memory[diff_weights_];
    std::fill_n(diff, diff_weights_.count(), 0.0F);
    const float* const operand = quantizes() ? c.memory[operand_].as<float>() : product_.backward_source(c);
    product_.backward_weights(c, operand, diff);
    weights_.add_gradient(c.param[0], diff, *c.memory[unit_], c.diff_param[0]);
    if (!product_.needs_diff_src()) return;
    const Tensor& diff_src = product_.backward_data(c);
    if (options_.activations().has_scale()) mask_gradient(c.memory[operand_], diff_src);
    product_.convert_diff_src(c, diff_src);
  }

 private:
  /// The gradient of the quantised weights stands in front of the product's own memory.
  struct Booked {
    Frames rest;
    Slot<float> diff_weights;
  };
  static Booked book(const OpRequest& request, const LinearGeometry& geometry, OpNeeds& needs) {
    Booked booked{needs.slots.frames(), {}};
    const std::int64_t count = geometry.features * LinearGeometry::inputs(request.src[0].shape);
    booked.diff_weights = booked.rest.backward.book<float>(count);
    return booked;
  }
  QuantizedLinearTraining(const OpRequest& request, const LinearGeometry& geometry, const QuantizationOptions& options,
                          OpNeeds& needs, const Booked& booked)
      : QuantizedLinearOp(request, geometry, options, needs, booked.rest), diff_weights_(booked.diff_weights) {
    if (quantizes()) operand_ = needs.slots.saved(product_.source());
    unit_ = needs.slots.saved<float>(1);
    needs.backward_uses_src = !quantizes();
  }

  BookedTensor operand_;  ///< levels of the source
  Slot<float> unit_;      ///< what one of them stands for
  Slot<float> diff_weights_;
};

/// dst = Q(src; activation_bits) (Q(weight; weight_bits) * rescale)^T + bias, with rescale = sqrt(1 / I) for 1-bit
/// weights, else 1. Shapes as those of linear. All of forward's products are of levels; what levels stand for is
/// multiplied on the way out.
class QuantizedLinear : public Layer {
 public:
  explicit QuantizedLinear(Keys& keys) {
    geometry_.describe(keys);
    options_.describe(keys);
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    geometry_.declare(src[0], declare);
    options_.declare_scale(declare);
    const std::int64_t macs = geometry_.features * LinearGeometry::inputs(src[0]);
    declare.costs.push_back({macs, options_.weight_cost_bits(), options_.activation_cost_bits()});
  }

  Attributes attributes() const override {
    Attributes attributes("quantized_linear");
    geometry_.describe(attributes);
    options_.describe(attributes);
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<QuantizedLinearTraining>(request, geometry_, options_, needs);
    needs.packed_params = {0};  // the weights
    return std::make_unique<QuantizedLinearInference>(request, geometry_, options_, needs);
  }

 private:
  LinearGeometry geometry_;
  QuantizationOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_quantized_linear(Keys& keys) {
  return std::make_unique<QuantizedLinear>(keys);
}

}  // namespace sluice
