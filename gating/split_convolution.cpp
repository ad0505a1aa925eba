#include "gating/split_convolution.hpp"

#include <algorithm>

#include "layers/convolution.hpp"

namespace sluice {

struct SplitConvolution::Primitives {
  ConvForward forward;
  ConvGradients gradients;
};

SplitConvolution::SplitConvolution(const OpRequest& request, const ConvGeometry& geometry, const TensorDesc& products,
                                   const BlockMask& mask)
    : trains_(request.training()), primitives_(std::make_unique<Primitives>()) {
  ConvProblem problem{geometry, request.src[0], products, request.mode, false, request.allow_winograd, {}};
  problem.geometry.channels = 2 * geometry.channels;
  problem.mask = mask;
  weights_ = problem.geometry.weights_shape(request.src[0].shape).count();
  primitives_->forward = ConvForward(problem);
  if (trains_) primitives_->gradients = ConvGradients(problem, request.needs_diff_src[0]);
}

SplitConvolution::~SplitConvolution() = default;

void SplitConvolution::book(OpNeeds& needs, Frames frames) {
  both_ = frames.refresh.book<float>(weights_);
  primitives_->forward.book(needs.slots, frames.refresh, frames.forward);
  needs.kernel = primitives_->forward.kernel();
  if (!trains_) return;
  Scratch weights = frames.backward;
  diff_both_ = weights.book<float>(weights_);
  primitives_->gradients.book(needs.slots, frames.refresh, weights, frames.backward);
  needs.kernel += primitives_->gradients.kernels();
  needs.backward_uses_src = true;
}

void SplitConvolution::pack(const Context& c, const float* both) {
  primitives_->forward.pack(c.memory, both);
  primitives_->gradients.pack(c.memory, both);
}

void SplitConvolution::forward(const Context& c, void* products) {
  primitives_->forward.run(c.memory, c.src[0].data, nullptr, products);
}

float* SplitConvolution::backward_weights(const Context& c, const void* diff_products) {
  float* const diff_both = c.memory[diff_both_];
  std::fill_n(diff_both, weights_, 0.0F);
  primitives_->gradients.weights().run(c.memory, c.src[0].data, diff_products, diff_both, nullptr);
  return diff_both;
}

void SplitConvolution::backward_data(const Context& c, const void* diff_products) {
  primitives_->gradients.run_data(c.memory, diff_products, c.diff_src[0].data);
}

}  // namespace sluice
