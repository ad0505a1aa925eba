// Precision-gated convolution (Zhang et al., Precision Gating, ICLR 2020, arXiv 2002.07136).
#include "core/base/error.hpp"
#include "gating/gating.hpp"
#include "gating/two_products.hpp"
#include "layers/layers.hpp"
#include "layers/quantized_convolution.hpp"

namespace sluice {
namespace {

struct PgOptions {
  ConvGeometry geometry;
  QuantizationOptions quantization;
  GateOptions gate;
  std::int64_t prediction_bits = 2;
};

/// What training and inference have in common: both products are one convolution of twice as many images, whose operand
/// are the levels of T(src), then those of Q(src) - T(src).
template <class T>
class PgProducts {
 public:
  PgProducts(const OpRequest& request, const PgOptions& options, OpNeeds& needs)
      : options_(options),
        product_(options.geometry, options.quantization, request, false, 2),
        products_(TwoProducts<T>::one_behind_other(options.gate, product_.products(), request.dst)),
        thresholds_(needs.slots, options.geometry.channels) {
    levels_.desc = base_.desc = rest_.desc = product_.operand();
    base_.desc.shape = rest_.desc.shape = request.src[0].shape;
  }

  void book_inference(OpNeeds& needs, bool records) {
    Frames frames = needs.slots.frames();
    levels_ = frames.forward.book(levels_.desc);
    products_.book_inference(needs, frames.forward, records);
    product_.book(needs, frames);
  }
  void book_training(OpNeeds& needs) {
    Frames frames = needs.slots.frames();
    levels_ = needs.slots.saved(levels_.desc);
    products_.book_training(needs, frames.backward);
    product_.book(needs, frames);
  }

  void refresh(const Context& c) {
    product_.refresh(c);
    thresholds_.refresh(c.memory, c.param[1]);
  }

  /// `scale` is that of the source, of which a level stands for `unit`.
  void forward(const Context& c, float scale, float unit) {
    base_.data = c.memory[levels_.memory];
    rest_.data = second_half();
    quantize_split(options_.quantization.activations(), options_.prediction_bits, scale, c.src[0], base_, rest_);
    product_.forward(c, base_.data, unit, products_.products(c.memory));
    products_.select(c, thresholds_.of(c.memory));
  }

  void backward(const Context& c, float unit) {
    products_.backward(c, thresholds_.of(c.memory), 1);
    const void* const diff_products = products_.diff_products(c.memory);
    product_.backward_weights(c, c.memory[levels_.memory], unit, diff_products);
    product_.backward_data(c, c.memory[levels_.memory], diff_products);
  }

  const QuantizationOptions& quantization() const { return options_.quantization; }

 private:
  /// Where the levels of Q(src) - T(src) lie.
  void* second_half() const {
    const std::int64_t count = base_.desc.count();
    if (base_.desc.type == DataType::kBF16) return base_.as<BFloat16>() + count;
    return base_.as<float>() + count;
  }

  PgOptions options_;
  QuantizedConvolution product_;
  TwoProducts<T> products_;
  ThresholdConstants thresholds_;
  BookedTensor levels_;
  Tensor base_, rest_;  ///< both halves of the levels, in a call
};

template <class T>
class PgInference : public Op {
 public:
  PgInference(const OpRequest& request, const PgOptions& options, OpNeeds& needs) : products_(request, options, needs) {
    products_.book_inference(needs, request.record_decisions);
  }

  void refresh(const Context& c) override { products_.refresh(c); }

  void forward(const Context& c) override {
    const QuantizationOptions& quantization = products_.quantization();
    const float scale = stored_scale(quantization, c.src[0], *c.buffer[0]);
    products_.forward(c, scale, quantization.activations().unit(scale));
  }

 private:
  PgProducts<T> products_;
};

template <class T>
class PgTraining : public Op {
 public:
  PgTraining(const OpRequest& request, const PgOptions& options, OpNeeds& needs) : products_(request, options, needs) {
    products_.book_training(needs);
    unit_ = needs.slots.saved<float>(1);
  }

  void refresh(const Context& c) override { products_.refresh(c); }

  void forward(const Context& c) override {
    const QuantizationOptions& quantization = products_.quantization();
    const float scale = batch_scale(quantization, c.src[0], *c.buffer[0], c.share),
                unit = quantization.activations().unit(scale);
    *c.memory[unit_] = unit;
    products_.forward(c, scale, unit);
  }

  void backward(const Context& c) override { products_.backward(c, *c.memory[unit_]); }

 private:
  PgProducts<T> products_;
  Slot<float> unit_;
};

/// src: N x I x H x W; weight: O x I/groups x KH x KW; threshold: O. Of the B = activation_bits of the quantised source
/// Q(src) (layers/quantizer.hpp), the Bh = prediction_bits highest make T(src):
///   A = conv(T(src), Q(weight)),  L = conv(Q(src) - T(src), Q(weight)),  dst = A + d (.) L,  d = 1 where A > threshold
///   diff_threshold = -sum(u),  diff_A = g + u,  diff_L = g (.) d      (gating/gate.hpp with q = A - threshold)
/// Gradients pass both quantisers of the source unchanged, so the share of L in diff_src, which is that of Q less that
/// of T, is 0:
///   diff_src = conv_backward_data(diff_A, Q(weight))
///   diff_weight = backward_weights(T(src), diff_A) + backward_weights(Q(src) - T(src), diff_L)
/// Both products are one convolution of twice as many images, and so are both gradients of the weights.
class PgConv : public Layer {
 public:
  explicit PgConv(Keys& keys) {
    options_.gate.alpha = 5.0;
    options_.quantization.activation_bits = 3;
    options_.geometry.describe(keys);
    options_.quantization.describe(keys);
    keys.optional("prediction_bits", options_.prediction_bits, between(1, 15),
                  "the highest of the source's bits, which the gate decides by; below activation_bits");
    options_.gate.describe(keys);
    const std::int64_t bits = options_.quantization.activation_bits;
    if (options_.prediction_bits >= bits) {
      keys.error("prediction_bits",
                 concat("prediction_bits = ", options_.prediction_bits, " must be below activation_bits = ", bits,
                        ", or no bits are left to decide about"));
    }
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    const auto& [geometry, quantization, gate, prediction_bits] = options_;
    require_sources(src, 1);
    QuantizedConvolution::declare(geometry, quantization, src[0], declare);
    declare.parameter(kThreshold, {geometry.channels}, kThreshold, Init::constant(gate.threshold_init));
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    const std::int64_t macs = geometry.macs(src[0]);
    const int weight_bits = quantization.weight_cost_bits(), bits = static_cast<int>(prediction_bits);
    declare.costs.push_back({macs, weight_bits, bits});
    declare.costs.push_back({macs, weight_bits, quantization.activation_cost_bits() - bits, open, total, true});
    declare.wants_activation = true;
  }

  Attributes attributes() const override {
    Attributes attributes("precision_gated_convolution");
    options_.geometry.describe(attributes);
    options_.quantization.describe(attributes);
    options_.gate.describe(attributes);
    attributes.set("prediction_bits", options_.prediction_bits);
    attributes.set("gating_loss_form", std::string("norm"));  // as published
    return attributes;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return make_typed<PgTraining>(request.dst.type, request, options_, needs);
    return make_typed<PgInference>(request.dst.type, request, options_, needs);
  }

 private:
  PgOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_pg_conv(Keys& keys) {
  return std::make_unique<PgConv>(keys);
}

}  // namespace sluice
