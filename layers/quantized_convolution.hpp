// Convolutions of levels with quantised weights: what quantized_conv and layers built upon it have in common.
#pragma once

#include "layers/convolution.hpp"
#include "layers/level_convolution.hpp"
#include "layers/quantizer.hpp"

namespace sluice {

/// In one executor. The forward product is that of whole numbers, multiplied by what a level stands for on the way out.
/// Where that gives the same sums it goes by Winograd's algorithm in whole numbers, without VNNI, or multiplies int8:
/// levels of a source that is nowhere below 0, by weights of up to 127 levels, or by weights of up to 255 in two bytes,
/// W = 2 high + low, the first for twice the source's levels. In training a product of weights in floating point, by a
/// source whose levels always stand for the same numbers, is that of what these stand for.
/// Parameter 0 of the layer is the weights, O x I/groups x KH x KW; buffer 0 the scale of its source. The gradients are
/// computed in the precision of the activations.
class QuantizedConvolution {
 public:
  QuantizedConvolution() = default;
  /// Makes the primitives. With `bias` the layer's parameter 1 is one.
  /// `parts`: operands are so many tensors like the source, one behind the other, and products as many like the result.
  /// The gradient of the weights is the sum over all, that of the source comes from the first. With one part, the
  /// layer's post-ops are done on the way.
  QuantizedConvolution(const ConvGeometry& geometry, const QuantizationOptions& options, const OpRequest& request,
                       bool bias, std::int64_t parts = 1);
  /// To be called once, before anything else; says nothing of what backward uses.
  void book(OpNeeds& needs, Frames frames);

  static void declare(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src,
                      Declarations& declare);

  /// What forward takes: the source itself for 0 activation bits, else its levels. Parts count as images.
  const TensorDesc& operand() const { return operand_; }
  const TensorDesc& products() const { return products_; }

  void refresh(const Context& c);
  /// `unit`: what a level of the operand stands for.
  void forward(const Context& c, const void* operand, float unit, void* products);
  /// The same in whole numbers, without what is fused; returns what 1 of them stands for.
  float forward_levels(const Context& c, const void* operand, float unit, void* products);

  /// Adds to the gradient of the weights (and of the bias).
  void backward_weights(const Context& c, const void* operand, float unit, const void* diff_products);
  /// Unless nobody needs it. `operand` says where the source is 0.
  void backward_data(const Context& c, const void* operand, const void* diff_products);

 private:
  bool multiply_floats(const OpRequest& request, ConvProblem problem);
  bool multiply_levels(const OpRequest& request, const ConvProblem& problem);
  bool multiply_int8(const OpRequest& request, ConvProblem problem);
  /// The operand as it is multiplied; `unit` becomes a NaN where it holds one.
  const void* prepared(const Context& c, const void* operand, float& unit);
  void pack_levels(const Memory& m, const float* levels);
  void set_up_backward(const OpRequest& request, const ConvProblem& forward, std::int64_t parts);
  /// Scale and shift of each output channel, for levels that stand for 1.
  void set_epilogue(const Context& c, float weight_unit) const;
  void run_product(const Context& c, const void* operand, const void* addend, void* products);
  const Tensor& view(const void* operand) {
    view_.data = const_cast<void*>(operand);
    return view_;
  }

  QuantizationOptions options_;
  QuantizedWeights weights_;
  TensorDesc operand_, products_;
  std::int64_t channels_ = 0;
  std::int64_t terms_ = 0;                        ///< of a sum, that of the weights' source channels and taps
  TensorDesc int8_operand_;                       ///< what is multiplied where that is int8
  bool multiplies_int8_ = false, pairs_ = false;  ///< pairs: each weight is two bytes
  bool floats_ = false;                           ///< a unit of the operand is in the packed weights
  bool bias_ = false, shifted_ = false, folded_ = false, trains_ = false, needs_diff_src_ = false;
  std::int64_t widened_ = 0;  ///< numbers of the operand that backward takes to fp32
  ConvForward forward_;
  std::optional<LevelConvolution> level_forward_;  ///< instead of it
  ConvBackwardWeights backward_weights_;
  ConvBackwardData backward_data_;

  Slot<float> levels_, pair_levels_;           ///< of the weights, in refresh
  Slot<float> scale_, shift_, product_scale_;  ///< kept
  Tensor view_;                                ///< of an operand
  BookedTensor narrowed_;                      ///< in forward
  Slot<float> diff_weights_, wide_;            ///< in backward
};

}  // namespace sluice
