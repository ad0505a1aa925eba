// Both products of a gated layer by one convolution: with 2 O filters, it reads the source once, and every processor
// has a fast kernel for it.
#pragma once

#include "layers/convolution.hpp"

namespace sluice {

/// In one executor. The layer's parameter 0 is its weights, O x I x KH x KW. `Split` says which of them are whose:
/// split(weights, both) writes 2 O filters, those of P first; merge(diff_both, diff_weights) adds their gradients to
/// that of the weights.
class SplitConvolution {
 public:
  SplitConvolution() = default;
  /// `products` is N x 2 O x OH x OW; `mask` says where both's filters can differ from zero.
  SplitConvolution(const OpRequest& request, const ConvGeometry& geometry, const TensorDesc& products,
                   const BlockMask& mask = {});
  /// To be called once, before anything else.
  void book(OpNeeds& needs, Frames frames);

  template <class Split>
  void refresh(const Context& c, const Split& split) {
    float* const both = c.memory[both_];
    split.split(c.param[0], both);
    forward_.pack(c.memory, both);
    gradients_.pack(c.memory, both);
  }
  void forward(const Context& c, void* products) { forward_.run(c.memory, c.src[0].data, nullptr, products); }
  template <class Split>
  void backward(const Context& c, const Split& split, const void* diff_products) {
    float* const diff_both = backward_weights(c, diff_products);
    split.merge(diff_both, c.diff_param[0]);
    gradients_.run_data(c.memory, diff_products, c.diff_src[0].data);
  }

 private:
  float* backward_weights(const Context& c, const void* diff_products);

  bool trains_ = false;
  std::int64_t weights_ = 0;  ///< of 2 O filters
  ConvForward forward_;
  ConvGradients gradients_;
  Slot<float> both_, diff_both_;
};

}  // namespace sluice
