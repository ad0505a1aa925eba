// Precision-gated convolution (Zhang et al., Precision Gating, ICLR 2020, arXiv 2002.07136).
#include <algorithm>

#include "core/base/buffer.hpp"
#include "core/base/error.hpp"
#include "gating/gate.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"
#include "layers/quantized_convolution.hpp"

namespace sluice {
namespace {

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
    gate_options_.alpha = 5.0;
    options_.activation_bits = 3;
    geometry_.describe(keys);
    options_.describe(keys);
    keys.optional("prediction_bits", prediction_bits_, between(1, 15),
                  "the highest of the source's bits, which the gate decides by; below activation_bits");
    gate_options_.describe(keys);
    if (prediction_bits_ >= options_.activation_bits) {
      keys.error("prediction_bits", concat("prediction_bits = ", prediction_bits_, " must be below activation_bits = ",
                                           options_.activation_bits, ", or no bits are left to decide about"));
    }
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    QuantizedConvolution::declare(geometry_, options_, src[0], declare);
    declare.parameter("threshold", {geometry_.channels}, "threshold", Init::constant(gate_options_.threshold_init));
    const int open = declare.count("open"), total = declare.count("total");
    const std::int64_t macs = geometry_.macs(src[0]);
    const int weight_bits = options_.weight_cost_bits(), bits = static_cast<int>(prediction_bits_);
    declare.costs.push_back({macs, weight_bits, bits});
    declare.costs.push_back({macs, weight_bits, options_.activation_cost_bits() - bits, open, total, true});
    declare.wants_activation = true;
  }

  void setup(Setup& setup) override {
    training_ = setup.mode == Mode::kTraining;
    product_ = QuantizedConvolution(geometry_, options_, setup, false, 2);
    gate_ = Gate(gate_options_, setup.dst);
    setup.request_scratch(product_.refresh_scratch_bytes());
    limit_ = static_cast<std::size_t>(setup.request_kept(gate_.base().padded() * 4));
    slope_ = static_cast<std::size_t>(setup.request_kept(gate_.base().padded() * 4));
    levels_bytes_ = align_up(product_.operand().bytes());
    products_bytes_ = align_up(product_.products().bytes());
    if (!training_) {
      setup.request_scratch(levels_bytes_ + products_bytes_ + align_up(gate_.saved_bytes()) +
                            product_.forward_scratch_bytes());
      return;
    }
    for (const std::int64_t bytes : {levels_bytes_, products_bytes_, gate_.saved_bytes(), std::int64_t{sizeof(float)}})
      setup.request_saved(bytes);
    setup.request_scratch(product_.forward_scratch_bytes());
    sums_bytes_ = align_up(ChannelSums::bytes(gate_.base()));
    setup.request_scratch(products_bytes_ + sums_bytes_ + gate_.scratch_bytes());
    setup.request_scratch(products_bytes_ + product_.backward_scratch_bytes());
  }

  void refresh(Context& c) override {
    product_.refresh(c);
    std::copy_n(c.param[1], geometry_.channels, static_cast<float*>(c.kept[limit_]));
    std::fill_n(static_cast<float*>(c.kept[slope_]), geometry_.channels, 1.0F);
  }

  void forward(Context& c) override {
    const Memory m = forward_memory(c);
    const float scale = source_scale(options_, training_, c.src[0], c.buffer[0]);
    const float unit = options_.activations().unit(scale);
    if (training_) *static_cast<float*>(c.saved[kUnit]) = unit;
    TensorDesc part = product_.operand();
    part.shape = c.src[0].shape();
    quantize_split(options_.activations(), prediction_bits_, scale, c.src[0], {part, m.levels},
                   {part, static_cast<char*>(m.levels) + part.bytes()});
    product_.forward(c, m.levels, unit, m.products, m.rest);
    c.counts[0] +=
        c.dst.desc.type == DataType::kBF16
            ? gate_.forward(static_cast<const BFloat16*>(m.products), constants(c), c.dst.as<BFloat16>(), m.score)
            : gate_.forward(static_cast<const float*>(m.products), constants(c), c.dst.as<float>(), m.score);
    c.counts[1] += c.dst.desc.count();
  }

  void backward(Context& c) override {
    void* const rest = static_cast<char*>(c.scratch) + products_bytes_;
    if (c.diff_dst[0].desc.type == DataType::kBF16) {
      gate_backward<BFloat16>(c, rest);
    } else {
      gate_backward<float>(c, rest);
    }
    product_.backward_weights(c, c.saved[kLevels], *static_cast<const float*>(c.saved[kUnit]), c.scratch, rest);
    product_.backward_data(c, c.saved[kLevels], c.scratch, rest);
  }

 private:
  enum Saved { kLevels, kProducts, kScore, kUnit };

  /// Where forward works: levels of T(src) and Q(src) - T(src), the products A and L, the gate's memory, and the rest.
  struct Memory {
    void *levels, *products, *score, *rest;
  };
  Memory forward_memory(Context& c) const {
    char* const scratch = static_cast<char*>(c.scratch);
    if (training_) return {c.saved[kLevels], c.saved[kProducts], c.saved[kScore], scratch};
    char* const score = scratch + levels_bytes_ + products_bytes_;
    return {scratch, scratch + levels_bytes_, score, score + align_up(gate_.saved_bytes())};
  }

  GateConstants constants(const Context& c) const {
    return {static_cast<const float*>(c.kept[limit_]), static_cast<const float*>(c.kept[slope_])};
  }

  /// The gradients of A and L, at the beginning of the scratch memory, and of the thresholds.
  template <class T>
  void gate_backward(Context& c, void* rest) const {
    ChannelSums sums(gate_.base(), rest);
    gate_.backward(static_cast<const T*>(c.saved[kProducts]), c.diff_dst[0].as<const T>(), constants(c), nullptr,
                   c.saved[kScore], static_cast<char*>(rest) + sums_bytes_, static_cast<T*>(c.scratch), sums);
    for (std::int64_t o = 0; o < geometry_.channels; ++o) c.diff_param[1][o] -= static_cast<float>(sums.first(o));
  }

  ConvGeometry geometry_;
  QuantizationOptions options_;
  std::int64_t prediction_bits_ = 2;
  GateOptions gate_options_;

  bool training_ = false;
  std::int64_t levels_bytes_ = 0, products_bytes_ = 0, sums_bytes_ = 0;
  std::size_t limit_ = 0, slope_ = 0;
  QuantizedConvolution product_;
  Gate gate_;
};

}  // namespace

std::unique_ptr<Layer> make_pg_conv(Keys& keys) {
  return std::make_unique<PgConv>(keys);
}

}  // namespace sluice
