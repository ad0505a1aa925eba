// Precision-gated convolution (Zhang et al., Precision Gating, ICLR 2020, arXiv 2002.07136).
#include "gating/pg_conv.hpp"

#include "core/base/error.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"
#include "layers/quantized_convolution.hpp"

namespace sluice {
namespace {

/// src: N x I x H x W; weight: O x I/groups x KH x KW; threshold: O. Of the B = activation_bits of the quantised source
/// Q(src) (layers/quantizer.hpp), the Bh = prediction_bits highest make T(src):
///   A = conv(T(src), Q(weight)),  L = conv(Q(src) - T(src), Q(weight)),  dst = A + d (.) L,  d = 1 where A > threshold
///   diff_threshold = -sum(u),  diff_A = g + u,  diff_L = g (.) d      (gating/gate.hpp with q = A - threshold)
/// With a threshold_clip, thresholds beyond it on either side count as it, and their gradient is 0.
/// Gradients pass both quantisers of the source unchanged, so the share of L in diff_src, which is that of Q less that
/// of T, is 0:
///   diff_src = conv_backward_data(diff_A, Q(weight))
///   diff_weight = backward_weights(T(src), diff_A) + backward_weights(Q(src) - T(src), diff_L)
/// Where all is computed, both products are one convolution of twice as many images, and so are both gradients of the
/// weights.
class PgConv : public Layer {
 public:
  explicit PgConv(Keys& keys) {
    options_.gate.alpha = 5.0;
    options_.quantization.activation_bits = 3;
    options_.geometry.describe(keys);
    options_.quantization.describe(keys);
    options_.quantization.describe_signs(keys);
    keys.optional("prediction_bits", options_.prediction_bits, between(1, 15),
                  "the highest of the source's bits, which the gate decides by; below activation_bits");
    options_.gate.describe(keys, {false, true, true});
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
    declare.parameter(kThreshold, {geometry.channels}, kThreshold, gate.initial_threshold());
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    const std::int64_t macs = geometry.macs(src[0]);
    const int weight_bits = quantization.weight_cost_bits(), bits = static_cast<int>(prediction_bits);
    declare.costs.push_back({macs, weight_bits, bits});
    declare.costs.push_back({macs, weight_bits, quantization.activation_cost_bits() - bits, open, total, true});
    declare.wants_activation = true;
    if (!options_.may_skip(src[0])) return;
    declare.src_levels = quantization.source_levels();
    declare.dst_levels = true;
  }

  Attributes attributes() const override {
    Attributes attributes("precision_gated_convolution");
    options_.geometry.describe(attributes);
    options_.quantization.describe(attributes);
    options_.gate.describe(attributes);
    attributes.set("prediction_bits", options_.prediction_bits);
    attributes.set("threshold_clip", options_.gate.threshold_clip);
    attributes.set("gating_loss_form", std::string("norm"));  // as published
    return attributes;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next, true);
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return make_pg_training(request, options_, needs);
    needs.packed_params = {0};  // the weights
    if (request.may_skip) {
      if (auto op = make_pg_signs(request, options_, needs)) return op;
      if (auto op = make_pg_skipping(request, options_, needs)) return op;
    }
    return make_pg_inference(request, options_, needs);
  }

 private:
  PgOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_pg_conv(Keys& keys) {
  return std::make_unique<PgConv>(keys);
}

}  // namespace sluice
