// Convolution with quantised weights and source (Zhou et al. 2016, arXiv 1606.06160, with the quantiser of
// layers/quantizer.hpp).
#include <cmath>

#include "layers/layers.hpp"
#include "layers/pact_relu.hpp"
#include "layers/quantized_convolution.hpp"
#include "layers/quantized_levels.hpp"

namespace sluice {
namespace {

struct QuantizedConvOptions {
  ConvGeometry geometry;
  QuantizationOptions quantization;
  bool bias = false;

  bool quantizes_source() const { return !quantization.activations().is_identity(); }
};

class QuantizedConvInference : public Op {
 public:
  QuantizedConvInference(const OpRequest& request, const QuantizedConvOptions& options, OpNeeds& needs)
      : options_(options),
        product_(options.geometry, options.quantization, request, options.bias),
        bounded_(request.has(PostOp::Kind::kBound)) {
    Frames frames = needs.slots.frames();
    if (options.quantizes_source()) levels_ = frames.forward.book(product_.operand());
    view_.desc = product_.operand();
    product_.book(needs, frames);
  }

  void refresh(const Context& c) override { product_.refresh(c); }

  void forward(const Context& c) override {
    const float scale = stored_scale(options_.quantization, c.src[0], *c.buffer[0]);
    const void* operand = c.src[0].data;
    if (options_.quantizes_source()) {
      view_.data = c.memory[levels_.memory];
      quantize_source(options_.quantization, scale, c.src[0], view_);
      operand = view_.data;
    }
    product_.forward(c, operand, options_.quantization.unit(scale), c.dst.data);
    if (bounded_) clip_at(*c.bound, c.dst, c.dst);
  }

 private:
  QuantizedConvOptions options_;
  QuantizedConvolution product_;
  bool bounded_;  ///< clips at a learned bound, which no kernel of oneDNN knows
  BookedTensor levels_;
  Tensor view_;  ///< of the levels, in a call
};

class QuantizedConvTraining : public Op {
 public:
  QuantizedConvTraining(const OpRequest& request, const QuantizedConvOptions& options, OpNeeds& needs)
      : options_(options), product_(options.geometry, options.quantization, request, options.bias) {
    if (options.quantizes_source()) levels_ = needs.slots.saved(product_.operand());
    view_.desc = product_.operand();
    unit_ = needs.slots.saved<float>(1);
    product_.book(needs, needs.slots.frames());
    needs.backward_uses_src = !options.quantizes_source() || options.quantization.activations().is_bipolar();
  }

  void refresh(const Context& c) override { product_.refresh(c); }

  void forward(const Context& c) override {
    const float scale = batch_scale(options_.quantization, c.src[0], *c.buffer[0], c.share);
    const float unit = options_.quantization.unit(scale);
    *c.memory[unit_] = unit;
    void* const operand = operand_of(c);
    if (options_.quantizes_source()) {
      view_.data = operand;
      quantize_source(options_.quantization, scale, c.src[0], view_);
    }
    product_.forward(c, operand, unit, c.dst.data);
  }

  void backward(const Context& c) override {
    const void *const operand = operand_of(c), *const diff = c.diff_dst[0].data;
    product_.backward_weights(c, operand, *c.memory[unit_], diff);
    product_.backward_data(c, operand, diff);
  }

 private:
  /// Levels of the source, or the source itself.
  void* operand_of(const Context& c) const {
    return options_.quantizes_source() ? c.memory[levels_.memory] : c.src[0].data;
  }

  QuantizedConvOptions options_;
  QuantizedConvolution product_;
  BookedTensor levels_;
  Tensor view_;       ///< of the levels, in a call
  Slot<float> unit_;  ///< what a level of the source stands for
};

/// dst = conv(Q(src; activation_bits), Q(weight; weight_bits) * rescale) + bias, with rescale = sqrt(1 / (KH KW
/// I/groups)) for 1-bit weights, else 1. Shapes as those of conv. In inference it takes batch normalisation, addition
/// and clipping along.
class QuantizedConv : public Layer {
 public:
  explicit QuantizedConv(Keys& keys) {
    options_.geometry.describe(keys);
    keys.optional("bias", options_.bias, "add a learned number to each output channel");
    options_.quantization.describe(keys);
    options_.quantization.describe_signs(keys);
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    const auto& [geometry, quantization, bias] = options_;
    require_sources(src, 1);
    QuantizedConvolution::declare(geometry, quantization, src[0], declare);
    const Shape weights = geometry.weights_shape(src[0]);
    const auto terms = static_cast<double>(weights[1] * weights[2] * weights[3]);
    if (bias) declare.parameter("bias", {geometry.channels}, "bias", Init::uniform(1.0 / std::sqrt(terms)));
    const std::int64_t macs = geometry.macs(src[0]);
    declare.costs.push_back({macs, quantization.weight_cost_bits(), quantization.activation_cost_bits()});
    const bool keeps_zeros = quantization.activation_bits != 1 && !quantization.activations().is_bipolar();
    declare.multiplies_channels = geometry.groups == 1 && keeps_zeros;
    if (!LevelConvolution::fits(geometry, quantization, src[0])) return;
    declare.src_levels = quantization.source_levels();
    declare.dst_levels = true;
  }

  Attributes attributes() const override {
    Attributes attributes("quantized_convolution");
    options_.geometry.describe(attributes);
    options_.quantization.describe(attributes);
    attributes.set("bias", options_.bias);
    return attributes;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next, true);
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return std::make_unique<QuantizedConvTraining>(request, options_, needs);
    needs.packed_params = {0};  // the weights
    const bool in_bf16 = request.src[0].type == DataType::kBF16 || request.dst.type == DataType::kBF16;
    if (request.may_skip && !in_bf16 &&
        LevelConvolution::fits(options_.geometry, options_.quantization, request.src[0].shape))
      return std::make_unique<QuantizedLevels>(request, options_.geometry, options_.quantization, options_.bias, needs);
    return std::make_unique<QuantizedConvInference>(request, options_, needs);
  }

 private:
  QuantizedConvOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_quantized_conv(Keys& keys) {
  return std::make_unique<QuantizedConv>(keys);
}

}  // namespace sluice
