// Channel-gated convolution (Hua et al., Channel Gating Neural Networks, NeurIPS 2019, arXiv 1805.12549).
#include "gating/cg_conv.hpp"

#include "core/base/error.hpp"
#include "gating/gating.hpp"
#include "gating/skip/skip_conv.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// src: N x I x H x W; weight: O x I x KH x KW, split into W (.) M (base) and W (.) (1 - M) (conditional); threshold:
/// O.
///   Yp = conv(src, W (.) M),  Yr = conv(src, W (.) (1 - M)),  q = BN0(Yp) - threshold  (BN0: no affine parameters)
///   dst = Yp + d (.) Yr,  d = 1 where q > 0; or its mean over those that share a decision (gating/gate.hpp)
///   diff_threshold = -sum(u),  diff_Yp = g + BN0_backward(u),  diff_Yr = g (.) d
/// With two_norms, dst = d (.) BN_full(Yp + Yr) + (1 - d) (.) BN_base(Yp): affine batch normalisations that take their
/// statistics over all outputs (those of BN_base are BN0's); gradients flow through the one selected, and
/// u = sum of g (.) (BN_full(Yp + Yr) - BN_base(Yp)) * alpha s (1 - s).
class CgConv : public Layer {
 public:
  explicit CgConv(Keys& keys) {
    options_.gate.alpha = 2.0;
    options_.geometry.describe(keys);
    options_.paths.describe(keys);
    options_.gate.describe(keys, {true, true});
    keys.optional("gate_eps", options_.eps, above_zero(), "added to the variance of the gate's normalisation");
    keys.optional("gate_momentum", options_.momentum, between(0.0, 1.0),
                  "weight of the newest batch in the gate's statistics");
    keys.optional(
        "two_norms", options_.two_norms,
        "normalise what is open and what is closed each by itself; stands for the batchnorm behind the layer");
    if (options_.geometry.groups != 1)
      keys.error("groups", "a channel-gated convolution cannot be grouped; use partitions");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    const ConvGeometry& geometry = options_.geometry;
    require_sources(src, 1);
    declare.dst = geometry.dst_shape(src[0]);
    if (declare.dst[kW] > SkipConv::kMostWidth)
      throw ShapeError("", concat("the result ", to_string(declare.dst), " has rows of more than ",
                                  SkipConv::kMostWidth, " pixels"));
    const Shape weights = geometry.weights_shape(src[0]);
    const PathMask mask = options_.mask(src[0]);
    declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
    declare.parameter(kThreshold, {geometry.channels}, kThreshold, options_.gate.initial_threshold());
    declare.buffer("gate_running_mean", {geometry.channels}, 0.0F);
    declare.buffer("gate_running_var", {geometry.channels}, 1.0F);
    if (options_.two_norms) TwoNorms::declare(declare, geometry.channels);
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    const std::int64_t macs = geometry.macs(src[0]), base = macs / weights[1] * mask.base_inputs();
    declare.costs.push_back({base});
    declare.costs.push_back({macs - base, 32, 32, open, total});
    declare.wants_activation = true;
  }

  Attributes attributes() const override {
    Attributes attributes("channel_gated_convolution");
    options_.geometry.describe(attributes);
    options_.gate.describe(attributes);
    attributes.set("partitions", options_.paths.partitions);
    attributes.set("own_chunk", options_.paths.own_chunk);
    attributes.set("shuffle", options_.paths.shuffle);
    attributes.set("eps", options_.eps);
    attributes.set("momentum", options_.momentum);
    attributes.set("two_norms", options_.two_norms);
    return attributes;
  }

  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

  Int8Wish int8_wish(bool may_skip) const override {
    return may_skip && !decides_late() ? Int8Wish::kMultiplies : Int8Wish::kNever;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.training()) return make_cg_training(request, options_, needs);
    needs.packed_params = {0};  // the weights
    if (request.may_skip && !decides_late()) return make_cg_skipping(request, options_, needs);
    return make_cg_inference(request, options_, needs);
  }

 private:
  /// A decision needs the base path of the whole image.
  bool decides_late() const { return options_.gate.granularity == Granularity::kChannel; }

  CgOptions options_;
};

}  // namespace

std::unique_ptr<Layer> make_cg_conv(Keys& keys) {
  return std::make_unique<CgConv>(keys);
}

}  // namespace sluice
