// Both products of a gated layer by one convolution: with 2 O filters, it reads the source once, and every processor
// has a fast kernel for it.
#pragma once

#include <cstdint>
#include <memory>

#include "core/graph/op.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/kernels/block_mask.hpp"

namespace sluice {

/// In one executor. The layer's parameter 0 is its weights, O x I x KH x KW. `Split` says which of them are whose:
/// split(weights, both) writes 2 O filters, those of P first; merge(diff_both, diff_weights) adds their gradients to
/// that of the weights.
class SplitConvolution {
 public:
  /// `products` is N x 2 O x OH x OW; `mask` says where both's filters can differ from zero.
  SplitConvolution(const OpRequest& request, const ConvGeometry& geometry, const TensorDesc& products,
                   const BlockMask& mask = {});
  ~SplitConvolution();
  /// To be called once, before anything else.
  void book(OpNeeds& needs, Frames frames);

  template <class Split>
  void refresh(const Context& c, const Split& split) {
    float* const both = c.memory[both_];
    split.split(c.param[0], both);
    pack(c, both);
  }
  void forward(const Context& c, void* products);
  template <class Split>
  void backward(const Context& c, const Split& split, const void* diff_products) {
    split.merge(backward_weights(c, diff_products), c.diff_param[0]);
    backward_data(c, diff_products);
  }

 private:
  struct Primitives;

  void pack(const Context& c, const float* both);
  float* backward_weights(const Context& c, const void* diff_products);
  void backward_data(const Context& c, const void* diff_products);

  bool trains_ = false;
  std::int64_t weights_ = 0;  ///< of 2 O filters
  std::unique_ptr<Primitives> primitives_;
  Slot<float> both_, diff_both_;
};

}  // namespace sluice
