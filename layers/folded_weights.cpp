#include "layers/folded_weights.hpp"

namespace sluice {

FoldedWeights::FoldedWeights(const OpRequest& request, const ConvGeometry& geometry, bool bias)
    : bias_(bias),
      folded_(request.has(PostOp::Kind::kAffine)),
      channels_(geometry.channels),
      filter_(geometry.weights_shape(request.src[0].shape).count() / geometry.channels) {}

void FoldedWeights::book(SlotBook& book, Scratch& refresh) {
  if (!folded_) return;
  scaled_ = refresh.book<float>(channels_ * filter_);
  folded_bias_ = book.kept<float>(channels_);
}

const float* FoldedWeights::fold(const Context& c) const {
  if (!folded_) return c.param[0];
  float *const bias = c.memory[folded_bias_], *const scaled = c.memory[scaled_];
  for (std::int64_t o = 0; o < channels_; ++o) {
    bias[o] = c.affine_shift[o] + (bias_ ? c.param[1][o] * c.affine_scale[o] : 0.0F);
    for (std::int64_t i = 0; i < filter_; ++i)
      scaled[o * filter_ + i] = c.param[0][o * filter_ + i] * c.affine_scale[o];
  }
  return scaled;
}

const float* FoldedWeights::bias(const Context& c) const {
  if (folded_) return c.memory[folded_bias_];
  return bias_ ? c.param[1] : nullptr;
}

}  // namespace sluice
