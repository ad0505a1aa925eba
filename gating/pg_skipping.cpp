// Inference of precision-gated layers that looks at the low bits of the source where gates are open.
#include "gating/pg_conv.hpp"
#include "gating/skip/skip_path.hpp"
#include "gating/two_products.hpp"

namespace sluice {
namespace {

class PgSkipping : public Op {
 public:
  PgSkipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs)
      : PgSkipping(request, options, needs, options.geometry.weights_shape(request.src[0].shape),
                   needs.slots.frames()) {}

  void refresh(const Context& c) override {
    float* const levels = c.memory[levels_];
    *c.memory[weight_unit_] = weights_.quantize(c.param[0], levels);
    thresholds_.refresh(c.memory, c.param[1]);
    skip_.refresh(c, levels, thresholds_.of(c.memory), nullptr);
  }

  void forward(const Context& c) override {
    const float scale = stored_scale(quantization_, c.src[0], *c.buffer[0]);
    c.counts[0] += skip_.forward(c, scale, quantization_.activations().unit(scale) * *c.memory[weight_unit_]);
    c.counts[1] += c.dst.desc.count();
  }

 private:
  PgSkipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs, const Shape& weights, Frames frames)
      : quantization_(options.quantization),
        weights_(options.quantization, weights.count(), weights[1] * weights[2] * weights[3]),
        thresholds_(needs.slots, options.geometry.channels, options.gate.threshold_clip),
        levels_(frames.refresh.book<float>(weights.count())),
        weight_unit_(needs.slots.kept<float>(1)),
        skip_(request, problem_of(request, options), needs, frames) {}

  static SkipProblem problem_of(const OpRequest& request, const PgOptions& options) {
    SkipProblem problem;
    problem.geometry = options.geometry;
    problem.levels.count = options.quantization.activations().levels();
    problem.levels.step = options.step();
    problem.levels.weight_count = options.quantization.weights().levels();
    problem.levels.nonnegative = request.src_nonnegative[0];
    problem.granularity = options.gate.granularity;
    return problem;
  }

  QuantizationOptions quantization_;
  QuantizedWeights weights_;
  ThresholdConstants thresholds_;
  Slot<float> levels_;       ///< of the weights, in refresh
  Slot<float> weight_unit_;  ///< what one of them stands for
  SkipPath skip_;
};

}  // namespace

bool PgOptions::has_exact_sums(const Shape& src) const {
  const Shape shape = geometry.weights_shape(src);
  return quantization.has_exact_pairs(shape[1] * shape[2] * shape[3]);
}

bool PgOptions::may_skip(const Shape& src) const {
  return geometry.groups == 1 && quantization.activations().has_scale() &&
         geometry.dst_shape(src)[kW] <= SkipConv::kMostWidth && has_exact_sums(src);
}

std::unique_ptr<Op> make_pg_skipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs) {
  if (!options.counts_levels(request) || !options.may_skip(request.src[0].shape)) return nullptr;
  return std::make_unique<PgSkipping>(request, options, needs);
}

}  // namespace sluice
