// Both products of precision-gated layers everywhere: their training, and inference that does all of the work.
#include "gating/level_limit.hpp"
#include "gating/pg_conv.hpp"
#include "gating/two_products.hpp"
#include "layers/epilogue.hpp"
#include "layers/quantized_convolution.hpp"

namespace sluice {
namespace {

OpRequest without_post_ops(OpRequest request) {
  request.post_ops.clear();
  request.addend = {};
  return request;
}

/// What training and inference have in common: both products are one convolution of twice as many images, whose operand
/// are the levels of T(src), then those of Q(src) - T(src).
template <class T>
class PgProducts {
 public:
  PgProducts(const OpRequest& request, const PgOptions& options)
      : options_(options),
        product_(options.geometry, options.quantization, without_post_ops(request), false, 2),
        products_(TwoProducts<T>::one_behind_other(options.gate, product_.products(), request.dst)) {
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

  void refresh(const Context& c) { product_.refresh(c); }

  /// `scale` is that of the source, of which a level stands for `unit`.
  void multiply(const Context& c, float scale, float unit) {
    split(c, scale);
    product_.forward(c, base_.data, unit, products_.products(c.memory));
  }
  /// The same in sums of levels; returns what 1 of them stands for.
  float multiply_levels(const Context& c, float scale, float unit) {
    split(c, scale);
    return product_.forward_levels(c, base_.data, unit, products_.products(c.memory));
  }
  void select(const Context& c, const GateConstants& constants) const { products_.select(c, constants); }
  void measure(const Context& c, const GateConstants& constants) const { products_.measure(c, constants, c.param[1]); }

  void backward(const Context& c, const GateConstants& constants, float unit) {
    products_.backward(c, constants, 1);
    const void* const diff_products = products_.diff_products(c.memory);
    product_.backward_weights(c, c.memory[levels_.memory], unit, diff_products);
    product_.backward_data(c, c.memory[levels_.memory], diff_products);
  }

  const QuantizationOptions& quantization() const { return options_.quantization; }

 private:
  void split(const Context& c, float scale) {
    base_.data = c.memory[levels_.memory];
    rest_.data = second_half();
    split_source(options_.quantization, options_.prediction_bits, scale, c.src[0], base_, rest_);
  }

  /// Where the levels of Q(src) - T(src) lie.
  void* second_half() const {
    const std::int64_t count = base_.desc.count();
    if (base_.desc.type == DataType::kBF16) return base_.as<BFloat16>() + count;
    return base_.as<float>() + count;
  }

  PgOptions options_;
  QuantizedConvolution product_;
  TwoProducts<T> products_;
  BookedTensor levels_;
  Tensor base_, rest_;  ///< both halves of the levels, in a call
};

template <class T>
class PgInference : public Op {
 public:
  PgInference(const OpRequest& request, const PgOptions& options, OpNeeds& needs)
      : products_(request, options),
        thresholds_(needs.slots, options.geometry.channels, options.gate.threshold_clip),
        epilogue_(request, needs),
        rows_(needs.slots, options.geometry.channels),
        channels_(options.geometry.channels),
        counts_levels_(options.counts_levels(request)),
        alone_(options.gate.granularity == Granularity::kElement) {
    products_.book_inference(needs, request.record_decisions);
  }

  void refresh(const Context& c) override {
    products_.refresh(c);
    thresholds_.refresh(c.memory, c.param[1]);
  }

  void forward(const Context& c) override {
    const QuantizationOptions& quantization = products_.quantization();
    const float scale = stored_scale(quantization, c.src[0], *c.buffer[0]);
    const float unit = quantization.unit(scale);
    if (counts_levels_) return forward_levels(c, products_.multiply_levels(c, scale, unit));
    products_.multiply(c, scale, unit);
    products_.select(c, thresholds_.of(c.memory));
    epilogue_.run<T>(c);
  }

 private:
  enum Row { kLimit, kSlope, kScale, kShift, kRows };

  /// As the way that skips does it: 1 of a sum stands for `unit`, in the gate and behind it.
  void forward_levels(const Context& c, float unit) {
    const Memory& m = c.memory;
    const float* const thresholds = thresholds_.of(m).limit;
    float *const limit = rows_(m, kLimit), *const slope = rows_(m, kSlope), *const scale = rows_(m, kScale),
                 *const shift = rows_(m, kShift);
    for (std::int64_t o = 0; o < channels_; ++o) {
      limit[o] = alone_ ? level_limit(thresholds[o], unit) : thresholds[o] / unit;
      slope[o] = 1.0F;  // scores count in levels: no rounding opens a gate whose score is 0
      scale[o] = c.affine_scale == nullptr ? unit : c.affine_scale[o] * unit;
      shift[o] = c.affine_shift == nullptr ? 0.0F : c.affine_shift[o];
    }
    products_.select(c, {limit, slope});
    epilogue_.run<T>(c, scale, shift);
  }

  PgProducts<T> products_;
  ThresholdConstants thresholds_;
  EpiloguePass epilogue_;
  ChannelRows<Row> rows_;
  std::int64_t channels_;
  bool counts_levels_, alone_;
};

template <class T>
class PgTraining : public Op {
 public:
  PgTraining(const OpRequest& request, const PgOptions& options, OpNeeds& needs)
      : products_(request, options),
        thresholds_(needs.slots, options.geometry.channels, options.gate.threshold_clip),
        channels_(options.geometry.channels),
        measures_(options.gate.open_share > 0) {
    products_.book_training(needs);
    unit_ = needs.slots.saved<float>(1);
    needs.backward_uses_src = options.quantization.activations().is_bipolar();
  }

  void refresh(const Context& c) override {
    products_.refresh(c);
    thresholds_.refresh(c.memory, c.param[1]);
  }

  void measure(const Context& c) override {
    if (!measures_) return;
    std::fill_n(c.param[1], channels_, 0.0F);
    thresholds_.refresh(c.memory, c.param[1]);
    multiply(c);
    products_.measure(c, thresholds_.of(c.memory));
  }

  void forward(const Context& c) override {
    multiply(c);
    products_.select(c, thresholds_.of(c.memory));
  }

  void backward(const Context& c) override { products_.backward(c, thresholds_.of(c.memory), *c.memory[unit_]); }

 private:
  void multiply(const Context& c) {
    const QuantizationOptions& quantization = products_.quantization();
    const float scale = batch_scale(quantization, c.src[0], *c.buffer[0], c.share), unit = quantization.unit(scale);
    *c.memory[unit_] = unit;
    products_.multiply(c, scale, unit);
  }

  PgProducts<T> products_;
  ThresholdConstants thresholds_;
  std::int64_t channels_;
  bool measures_;
  Slot<float> unit_;
};

}  // namespace

std::unique_ptr<Op> make_pg_training(const OpRequest& request, const PgOptions& options, OpNeeds& needs) {
  return make_typed<PgTraining>(request.dst.type, request, options, needs);
}

std::unique_ptr<Op> make_pg_inference(const OpRequest& request, const PgOptions& options, OpNeeds& needs) {
  return make_typed<PgInference>(request.dst.type, request, options, needs);
}

}  // namespace sluice
