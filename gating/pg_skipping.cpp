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
        thresholds_(needs.slots, options.geometry.channels),
        levels_(frames.refresh.book<float>(weights.count())),
        weight_unit_(needs.slots.kept<float>(1)),
        skip_(request, problem_of(options), needs, frames) {}

  static SkipProblem problem_of(const PgOptions& options) {
    SkipProblem problem;
    problem.geometry = options.geometry;
    problem.levels = {options.quantization.activations().levels(), options.step()};
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

bool PgOptions::counts_levels(const OpRequest& request) const {
  constexpr std::int64_t kMostSum = 1 << 24, kMostLevel = (1 << 15) - 1;
  const Quantizer weights = quantization.weights(), source = quantization.activations();
  const Shape shape = geometry.weights_shape(request.src[0].shape);
  const std::int64_t terms = shape[1] * shape[2] * shape[3];
  const bool in_floats = request.src[0].type == DataType::kF32 && request.dst.type == DataType::kF32;
  return in_floats && weights.bits > 0 && weights.levels() <= kMostLevel && source.levels() <= kMostLevel &&
         weights.levels() * source.levels() * terms < kMostSum;
}

std::unique_ptr<Op> make_pg_skipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs) {
  const bool fits = options.geometry.groups == 1 && request.dst.shape[kW] <= SkipConv::kMostWidth;
  if (!fits || !options.counts_levels(request)) return nullptr;
  return std::make_unique<PgSkipping>(request, options, needs);
}

}  // namespace sluice
