// Fully connected layer with quantised weights and source (layers/quantizer.hpp). Inference multiplies levels in whole
// numbers. Training, and what is no product of levels, is in fp32 as linear is: levels are as exact there.
#include <algorithm>

#include "layers/inner_product.hpp"
#include "layers/layers.hpp"
#include "layers/quantized_levels.hpp"

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
    epilogue_ = Epilogue(request.post_ops);
  }

  bool quantizes() const { return !options_.activations().is_identity(); }
  /// Levels of the source in `levels`, or the source itself.
  const float* operand(const Context& c, float scale, float* levels) const {
    const float* const source = product_.forward_source(c);
    if (!quantizes()) return source;
    quantize_source(options_, scale, {product_.source(), const_cast<float*>(source)}, {product_.source(), levels});
    return levels;
  }

  /// dst = operand W^T times what levels stand for, + bias, clipped where that is fused: rounded as QuantizedLevels
  /// does.
  void multiply(const Context& c, const float* operand, float unit) {
    product_.forward(c, operand, nullptr);
    unit *= *c.memory[weight_unit_];
    const Clip clip = epilogue_.clip(c.bound);
    float* const dst = c.dst.as<float>();
    for (std::int64_t i = 0; i < c.dst.desc.count(); ++i) {
      const float x = dst[i] * unit + (geometry_.bias ? c.param[1][i % geometry_.features] : 0.0F);
      dst[i] = x < clip.low ? clip.low : x > clip.high ? clip.high : x;
    }
  }

  LinearGeometry geometry_;
  QuantizationOptions options_;
  QuantizedWeights weights_;
  InnerProduct product_;

 private:
  Epilogue epilogue_;
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
    multiply(c, operand(c, scale, levels), options_.unit(scale));
  }
};

class QuantizedLinearTraining : public QuantizedLinearOp {
 public:
  QuantizedLinearTraining(const OpRequest& request, const LinearGeometry& geometry, const QuantizationOptions& options,
                          OpNeeds& needs)
      : QuantizedLinearTraining(request, geometry, options, needs, book(request, geometry, needs)) {}

  void forward(const Context& c) override {
    const float scale = batch_scale(options_, c.src[0], *c.buffer[0], c.share), unit = options_.unit(scale);
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

/// The same product as a convolution of single pixels.
ConvGeometry pixel(const LinearGeometry& linear) {
  ConvGeometry geometry;
  geometry.channels = linear.features;
  geometry.kernel = 1;
  return geometry;
}

bool is_exact(const LinearGeometry& geometry, const QuantizationOptions& options, const Shape& src) {
  return LevelConvolution::fits(pixel(geometry), options, {src[kN], LinearGeometry::inputs(src), 1, 1});
}

/// A row of the source is an image of one pixel. Of an image it has the channels as they lie in memory: [C / block][H]
/// [W][block].
std::unique_ptr<Op> make_levels(OpRequest request, const LinearGeometry& geometry, const QuantizationOptions& options,
                                OpNeeds& needs) {
  const TensorDesc from = request.src[0];
  const std::int64_t batch = from.shape[kN], inputs = LinearGeometry::inputs(from.shape);
  std::vector<std::int64_t> order;
  if (from.shape.rank() == 4 && from.shape[kH] * from.shape[kW] > 1) {
    order.resize(static_cast<std::size_t>(inputs));
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t width = from.shape[kW], plane = from.shape[kH] * width;
      const std::int64_t place = from.offset(0, i / plane, i % plane / width, i % width);
      order[static_cast<std::size_t>(place)] = i;
    }
  }
  request.src[0].shape = {batch, inputs, 1, 1};
  request.src[0].block = inputs;
  request.dst.shape = {batch, geometry.features, 1, 1};
  request.dst.block = geometry.features;
  return std::make_unique<QuantizedLevels>(request, pixel(geometry), options, geometry.bias, needs, std::move(order));
}

/// dst = Q(src; activation_bits) (Q(weight; weight_bits) * rescale)^T + bias, with rescale = sqrt(1 / I) for 1-bit
/// weights, else 1. Shapes as those of linear. All of forward's products are of levels; what levels stand for is
/// multiplied on the way out. In inference it takes clipping along.
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
    if (!is_exact(geometry_, options_, src[0])) return;
    declare.src_levels = options_.source_levels();
    declare.dst_levels = true;
  }

  Attributes attributes() const override {
    Attributes attributes("quantized_linear");
    geometry_.describe(attributes);
    options_.describe(attributes);
    return attributes;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    const bool clips = next.kind == PostOp::Kind::kClip || next.kind == PostOp::Kind::kBound;
    return mode == Mode::kInference && clips && accepted.empty();
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<QuantizedLinearTraining>(request, geometry_, options_, needs);
    needs.packed_params = {0};  // the weights
    const bool in_bf16 = request.src[0].type == DataType::kBF16;
    if (request.may_skip && !in_bf16 && is_exact(geometry_, options_, request.src[0].shape))
      return make_levels(request, geometry_, options_, needs);
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
