// Inference of precision-gated layers with weights of one bit and a source of two, by population count.
#include <algorithm>
#include <limits>
#include <optional>

#include "gating/channel_rows.hpp"
#include "gating/level_limit.hpp"
#include "gating/pg_conv.hpp"
#include "gating/signs/sign_conv.hpp"
#include "gating/way_names.hpp"

namespace sluice {
namespace {

struct SignChoice {
  const char* name;
  SignWay way;
};
constexpr SignChoice kSignWays[] = {{kDotsWay, SignWay::kDots}, {kLanesWay, SignWay::kLanes}, {kAllWay, SignWay::kAll}};

class PgSigns : public Op {
 public:
  PgSigns(const OpRequest& request, const PgOptions& options, OpNeeds& needs)
      : PgSigns(request, options, needs, options.geometry.weights_shape(request.src[0].shape), needs.slots.frames()) {}

  void refresh(const Context& c) override {
    const Memory& m = c.memory;
    float *const levels = m[levels_], *const limits = rows_(m, kLimit), *const scale = rows_(m, kScale),
                 *const shift = rows_(m, kShift);
    const float unit = unit_ * weights_.quantize(c.param[0], levels);
    std::fill_n(limits, kRows * rows_.padded(), 0.0F);
    for (std::int64_t o = 0; o < channels_; ++o) {
      limits[o] = level_limit(clipped_threshold(c.param[1][o], clip_), unit);
      scale[o] = c.affine_scale == nullptr ? unit : c.affine_scale[o] * unit;
      shift[o] = c.affine_shift == nullptr ? 0.0F : c.affine_shift[o];
      const float* const own = levels + o * filter_;
      if (std::all_of(own, own + filter_, [](float level) { return level == level; })) continue;
      limits[o] = scale[o] = std::numeric_limits<float>::quiet_NaN();  // bits cannot tell
    }
    product_.pack(m, levels, limits);
  }

  void forward(const Context& c) override {
    const SignConv::Operands operands{rows_(c.memory, kScale), rows_(c.memory, kShift), c.addend.as<const float>(),
                                      c.bound};
    const SignWay way = kSignWays[static_cast<std::size_t>(c.alternative)].way;
    c.counts[0] += product_.run(c.memory, c.src[0].as<const float>(), way, operands, c.dst.as<float>());
    c.counts[1] += c.dst.desc.count();
    if (decisions_) product_.decisions(c.memory, c.memory[*decisions_]);
  }

 private:
  enum Row { kLimit, kScale, kShift, kRows };

  PgSigns(const OpRequest& request, const PgOptions& options, OpNeeds& needs, const Shape& weights, Frames frames)
      : channels_(options.geometry.channels),
        filter_(weights[1] * weights[2] * weights[3]),
        unit_(options.quantization.activations().unit(1)),
        clip_(options.gate.threshold_clip),
        weights_(options.quantization, weights.count(), filter_),
        product_(options.geometry, request.src[0], request.dst, Epilogue(request.post_ops)),
        levels_(frames.refresh.book<float>(weights.count())),
        rows_(needs.slots, channels_) {
    product_.book(needs.slots, frames.forward);
    if (request.record_decisions) needs.decisions = decisions_ = needs.slots.kept<float>(request.dst.count());
    for (const SignChoice& way : kSignWays) needs.alternatives.emplace_back(way.name);
    needs.alternative = 2;  // the fastest where about 40 % are open, as published
    needs.kernel = sign_kernel_name();
  }

  std::int64_t channels_, filter_;
  float unit_;   ///< what a level of the source stands for
  double clip_;  ///< of thresholds
  QuantizedWeights weights_;
  SignConv product_;
  Slot<float> levels_;  ///< of the weights, in refresh
  ChannelRows<Row> rows_;
  std::optional<Slot<float>> decisions_;
};

}  // namespace

bool PgOptions::counts_bits(const OpRequest& request) const {
  const Shape& src = request.src[0].shape;
  return quantization.weights().is_binary() && quantization.activations().is_bipolar() &&
         quantization.activation_bits == 2 && gate.granularity == Granularity::kElement && counts_levels(request) &&
         SignConv::fits(geometry, src);
}

std::unique_ptr<Op> make_pg_signs(const OpRequest& request, const PgOptions& options, OpNeeds& needs) {
  if (!options.counts_bits(request)) return nullptr;
  return std::make_unique<PgSigns>(request, options, needs);
}

}  // namespace sluice
