// Convolution with quantised weights and source (Zhou et al. 2016, arXiv 1606.06160, with the quantiser of
// layers/quantizer.hpp).
#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "layers/layers.hpp"
#include "layers/quantized_convolution.hpp"

namespace sluice {
namespace {

/// dst = conv(Q(src; activation_bits), Q(weight; weight_bits) * rescale) + bias, with rescale = sqrt(1 / (KH KW
/// I/groups)) for 1-bit weights, else 1. Shapes as those of conv. In inference it takes batch normalisation, addition
/// and clipping along.
class QuantizedConv : public Layer {
 public:
  explicit QuantizedConv(Keys& keys) {
    geometry_.describe(keys);
    keys.optional("bias", bias_, "add a learned number to each output channel");
    options_.describe(keys);
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    QuantizedConvolution::declare(geometry_, options_, src[0], declare);
    const Shape weights = geometry_.weights_shape(src[0]);
    const auto terms = static_cast<double>(weights[1] * weights[2] * weights[3]);
    if (bias_) declare.parameter("bias", {geometry_.channels}, "bias", Init::uniform(1.0 / std::sqrt(terms)));
    const std::int64_t macs = geometry_.macs(src[0]);
    declare.costs.push_back({macs, options_.weight_cost_bits(), options_.activation_cost_bits()});
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    product_ = QuantizedConvolution(geometry_, options_, setup, bias_);
    quantizes_ = !options_.activations().is_identity();
    levels_bytes_ = quantizes_ && !training_ ? align_up(product_.operand().bytes()) : 0;
    setup.request_scratch(product_.refresh_scratch_bytes());
    setup.request_scratch(levels_bytes_ + product_.forward_scratch_bytes());
    if (!training_) return;
    setup.backward_uses_src = !quantizes_;
    if (quantizes_) setup.request_saved(product_.operand().bytes());
    unit_ = static_cast<std::size_t>(setup.request_saved(sizeof(float)));
    setup.request_scratch(product_.backward_scratch_bytes());
  }

  void refresh(Context& c) override { product_.refresh(c); }

  void forward(Context& c) override {
    const float scale = source_scale(options_, training_, c.src[0], c.buffer[0]);
    const float unit = options_.activations().unit(scale);
    if (training_) *static_cast<float*>(c.saved[unit_]) = unit;
    void* const operand = operand_of(c);
    if (quantizes_) quantize(options_.activations(), scale, c.src[0], {product_.operand(), operand});
    product_.forward(c, operand, unit, c.dst.data, static_cast<char*>(c.scratch) + levels_bytes_);
  }

  void backward(Context& c) override {
    const void* const operand = operand_of(c);
    const void* const diff = c.diff_dst[0].data;
    product_.backward_weights(c, operand, *static_cast<const float*>(c.saved[unit_]), diff, c.scratch);
    product_.backward_data(c, operand, diff, c.scratch);
  }

 private:
  /// Levels of the source (saved for backward, or in the scratch memory), or the source itself.
  void* operand_of(Context& c) const {
    if (!quantizes_) return c.src[0].data;
    return training_ ? c.saved[0] : c.scratch;
  }

  ConvGeometry geometry_;
  QuantizationOptions options_;
  bool bias_ = false, training_ = false, quantizes_ = true;
  std::int64_t levels_bytes_ = 0;
  std::size_t unit_ = 0;
  QuantizedConvolution product_;
};

}  // namespace

std::unique_ptr<Layer> make_quantized_conv(Keys& keys) {
  return std::make_unique<QuantizedConv>(keys);
}

}  // namespace sluice
