#include "layers/quantized_levels.hpp"

#include <algorithm>
#include <utility>

#include "layers/way_names.hpp"

namespace sluice {

QuantizedLevels::QuantizedLevels(const OpRequest& request, const ConvGeometry& geometry,
                                 const QuantizationOptions& options, bool bias, OpNeeds& needs,
                                 std::vector<std::int64_t> order)
    : options_(options), channels_(geometry.channels), bias_(bias), order_(std::move(order)) {
  LevelProblem problem;
  problem.geometry = geometry;
  problem.source = options_.activations();
  problem.weights = options_.weights();
  problem.src = request.src[0];
  problem.dst = request.dst;
  problem.src_nonnegative = request.src_nonnegative[0];
  problem.dst_levels = request.dst_levels;
  problem.epilogue = Epilogue(request.post_ops);
  add_ways(request, problem, needs);
  const Shape shape = geometry.weights_shape(request.src[0].shape);
  weights_ = QuantizedWeights(options_, shape.count(), shape[1] * shape[2] * shape[3]);
  const Frames frames = needs.slots.frames();
  for (LevelConvolution& way : ways_) way.book(needs.slots, frames.forward);
  Scratch refresh = frames.refresh;
  levels_ = refresh.book<float>(weights_.count());
  if (!order_.empty()) ordered_ = refresh.book<float>(weights_.count());
  for (Slot<float>* slot : {&scale_, &shift_, &product_scale_}) *slot = needs.slots.kept<float>(padded());
}

/// The second one is the layer's own choice: it has far fewer multiplications.
void QuantizedLevels::add_ways(const OpRequest& request, LevelProblem problem, OpNeeds& needs) {
  const bool both = LevelConvolution::winograd_fits(problem);
  for (const bool winograd : {false, true}) {
    const char* const name = winograd ? kWinogradWay : kDirectWay;
    if (both ? request.way == (winograd ? kDirectWay : kWinogradWay) : winograd) continue;
    problem.winograd = winograd;
    ways_.emplace_back(problem);
    needs.alternatives.emplace_back(name);
    needs.kernel = ways_.back().kernel();
  }
  needs.alternative = static_cast<int>(ways_.size()) - 1;
  if (ways_.size() == 1) needs.alternatives.clear();
}

const float* QuantizedLevels::in_order(const Memory& memory, const float* levels) const {
  if (order_.empty()) return levels;
  float* to = memory[ordered_];
  const auto inputs = static_cast<std::int64_t>(order_.size());
  for (std::int64_t o = 0; o < channels_; ++o) {
    for (const std::int64_t input : order_) *to++ = levels[o * inputs + input];
  }
  return memory[ordered_];
}

void QuantizedLevels::refresh(const Context& c) {
  float *const levels = c.memory[levels_], *const scales = c.memory[scale_], *const shifts = c.memory[shift_];
  const float unit = weights_.quantize(c.param[0], levels);
  const float* const ordered = in_order(c.memory, levels);
  for (const LevelConvolution& way : ways_) way.pack(c.memory, ordered);
  for (float* const row : {scales, shifts, c.memory[product_scale_]}) std::fill_n(row, padded(), 0.0F);
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float scale = c.affine_scale == nullptr ? 1.0F : c.affine_scale[o];
    scales[o] = unit * scale;
    shifts[o] = (c.affine_shift == nullptr ? 0.0F : c.affine_shift[o]) + (bias_ ? c.param[1][o] * scale : 0.0F);
  }
}

void QuantizedLevels::forward(const Context& c) {
  const float scale = stored_scale(options_, c.src[0], *c.buffer[0]), unit = options_.activations().unit(scale);
  const float* const own = c.memory[scale_];
  float* const scales = c.memory[product_scale_];
  for (std::int64_t o = 0; o < channels_; ++o) scales[o] = unit * own[o];
  ways_[static_cast<std::size_t>(c.alternative)].run(
      c.memory, c.src[0].data, {scale, scales, c.memory[shift_], c.addend.data, c.bound, c.dst_scale}, c.dst.data);
}

}  // namespace sluice
