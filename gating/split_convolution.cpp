#include "gating/split_convolution.hpp"

#include <algorithm>

namespace sluice {

SplitConvolution::SplitConvolution(const OpRequest& request, const ConvGeometry& geometry, const TensorDesc& products,
                                   const BlockMask& mask)
    : trains_(request.training()) {
  ConvProblem problem{geometry, request.src[0], products, request.mode, false, request.allow_winograd, {}};
  problem.geometry.channels = 2 * geometry.channels;
  problem.mask = mask;
  weights_ = problem.geometry.weights_shape(request.src[0].shape).count();
  forward_ = ConvForward(problem);
  if (trains_) gradients_ = ConvGradients(problem, request.needs_diff_src[0]);
}

void SplitConvolution::book(OpNeeds& needs, Frames frames) {
  both_ = frames.refresh.book<float>(weights_);
  forward_.book(needs.slots, frames.refresh, frames.forward);
  needs.kernel = forward_.kernel();
  if (!trains_) return;
  Scratch weights = frames.backward;
  diff_both_ = weights.book<float>(weights_);
  gradients_.book(needs.slots, frames.refresh, weights, frames.backward);
  needs.kernel += gradients_.kernels();
  needs.backward_uses_src = true;
}

float* SplitConvolution::backward_weights(const Context& c, const void* diff_products) {
  float* const diff_both = c.memory[diff_both_];
  std::fill_n(diff_both, weights_, 0.0F);
  gradients_.weights().run(c.memory, c.src[0].data, diff_products, diff_both, nullptr);
  return diff_both;
}

}  // namespace sluice
