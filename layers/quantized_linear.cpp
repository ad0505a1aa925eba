// Fully connected layer with quantised weights and source (layers/quantizer.hpp), in fp32 as linear is: products of
// levels are as exact there.
#include "core/base/buffer.hpp"
#include "layers/inner_product.hpp"
#include "layers/layers.hpp"
#include "layers/quantizer.hpp"

namespace sluice {
namespace {

/// dst = Q(src; activation_bits) (Q(weight; weight_bits) * rescale)^T + bias, with rescale = sqrt(1 / I) for 1-bit
/// weights, else 1. Shapes as those of linear. All of forward's products are of levels; what levels stand for is
/// multiplied on the way out.
class QuantizedLinear : public Layer {
 public:
  explicit QuantizedLinear(Keys& keys) {
    geometry_.describe(keys);
    options_.describe(keys);
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    geometry_.declare(src[0], declare);
    options_.declare_scale(declare);
    const std::int64_t macs = geometry_.channels * LinearGeometry::inputs(src[0]);
    declare.costs.push_back({macs, options_.weight_cost_bits(), options_.activation_cost_bits()});
  }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    quantizes_ = !options_.activations().is_identity();
    product_ = InnerProduct(geometry_, setup, quantizes_);
    const std::int64_t inputs = LinearGeometry::inputs(setup.src[0].shape);
    weights_ = QuantizedWeights(options_, geometry_.channels * inputs, inputs);
    setup.request_scratch(weights_.bytes() + product_.pack_scratch_bytes());
    weight_unit_ = static_cast<std::size_t>(setup.request_kept(sizeof(float)));
    if (!training_) return;
    setup.backward_uses_src = !quantizes_;
    if (quantizes_) setup.request_saved(product_.source().bytes());
    unit_ = static_cast<std::size_t>(setup.request_saved(sizeof(float)));
    setup.request_scratch(product_.scratch_bytes() + weights_.bytes());
  }

  void refresh(Context& c) override {
    float* const levels = static_cast<float*>(c.scratch);
    void* const rest = static_cast<char*>(c.scratch) + weights_.bytes();
    const float unit = weights_.quantize(c.param[0], levels);
    *static_cast<float*>(c.kept[weight_unit_]) = unit;
    product_.pack_forward(c, levels, rest);
    weights_.restore(unit, levels);
    product_.pack_backward(c, levels, rest);
  }

  void forward(Context& c) override {
    const float scale = source_scale(options_, training_, c.src[0], c.buffer[0]);
    const float unit = options_.activations().unit(scale);
    if (training_) *static_cast<float*>(c.saved[unit_]) = unit;
    const float* source = product_.converted_source(c);
    if (quantizes_) {
      const Tensor levels{product_.source(), training_ ? c.saved[0] : c.scratch};
      quantize(options_.activations(), scale, {product_.source(), const_cast<float*>(source)}, levels);
      source = levels.as<const float>();
    }
    product_.forward(c, source, nullptr);
    finish(c, unit * *static_cast<const float*>(c.kept[weight_unit_]));
  }

  void backward(Context& c) override {
    float* const diff = reinterpret_cast<float*>(static_cast<char*>(c.scratch) + product_.scratch_bytes());
    std::fill_n(diff, weights_.bytes() / 4, 0.0F);
    const float* const source = quantizes_ ? static_cast<const float*>(c.saved[0]) : product_.converted_source(c);
    product_.backward_weights(c, source, diff);
    weights_.add_gradient(c.param[0], diff, *static_cast<const float*>(c.saved[unit_]), c.diff_param[0]);
    if (!product_.needs_diff_src()) return;
    const Tensor& diff_src = product_.backward_data(c);
    if (options_.activations().has_scale()) mask_gradient({product_.source(), c.saved[0]}, diff_src);
    product_.convert_diff_src(c);
  }

 private:
  /// dst = dst * unit + bias
  void finish(Context& c, float unit) const {
    float* const dst = c.dst.as<float>();
    for (std::int64_t i = 0; i < c.dst.desc.count(); ++i)
      dst[i] = dst[i] * unit + (geometry_.bias ? c.param[1][i % geometry_.channels] : 0.0F);
  }

  LinearGeometry geometry_;
  QuantizationOptions options_;
  bool training_ = false, quantizes_ = true;
  std::size_t unit_ = 0, weight_unit_ = 0;
  InnerProduct product_;
  QuantizedWeights weights_;
};

}  // namespace

std::unique_ptr<Layer> make_quantized_linear(Keys& keys) {
  return std::make_unique<QuantizedLinear>(keys);
}

}  // namespace sluice
