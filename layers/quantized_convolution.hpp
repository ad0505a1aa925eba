// Convolutions of levels with quantised weights: what quantized_conv and layers built upon it have in common.
#pragma once

#include "layers/convolution.hpp"
#include "layers/quantizer.hpp"

namespace sluice {

/// In one executor. The forward product is that of whole numbers, multiplied by what a level stands for on the way out.
/// Where that gives the same sums it multiplies bytes: levels of a source that is nowhere below 0, by weights of up to
/// 127 levels, or by weights of up to 255 in two bytes, W = 2 high + low, the first for twice the source's levels.
/// Parameter 0 of the layer is the weights, O x I/groups x KH x KW; buffer 0 the scale of its source. The gradients are
/// computed in the precision of the activations.
class QuantizedConvolution {
 public:
  QuantizedConvolution() = default;
  /// Makes the primitives and asks for memory that is kept; the scratch memory below is the caller's to ask for. With
  /// `bias` the layer's parameter 1 is one.
  /// `parts`: operands are so many tensors like the source, one behind the other, and products as many like the result.
  /// The gradient of the weights is the sum over all, that of the source comes from the first. With one part, the
  /// layer's post-ops are done on the way.
  QuantizedConvolution(const ConvGeometry& geometry, const QuantizationOptions& options, Setup& setup, bool bias,
                       std::int64_t parts = 1);

  static void declare(const ConvGeometry& geometry, const QuantizationOptions& options, const Shape& src,
                      Declarations& declare);

  /// What forward takes: the source itself for 0 activation bits, else its levels. Parts count as images.
  const TensorDesc& operand() const { return operand_; }
  const TensorDesc& products() const { return products_; }
  std::int64_t refresh_scratch_bytes() const { return refresh_scratch_; }
  std::int64_t forward_scratch_bytes() const { return byte_operand_bytes_ + forward_.scratch_bytes(); }
  std::int64_t backward_scratch_bytes() const { return backward_scratch_; }

  void refresh(Context& c);
  /// `unit`: what a level of the operand stands for.
  void forward(Context& c, const void* operand, float unit, void* products, void* scratch);

  /// Adds to the gradient of the weights (and of the bias).
  void backward_weights(Context& c, const void* operand, float unit, const void* diff_products, void* scratch);
  /// Unless nobody needs it. `operand` says where the source is 0.
  void backward_data(Context& c, const void* operand, const void* diff_products, void* scratch);

 private:
  bool multiply_bytes(const Setup& setup, ConvProblem problem);
  void set_up_backward(Setup& setup, const ConvProblem& forward, std::int64_t parts);
  /// Scale and shift of each output channel, for levels that stand for 1.
  void set_epilogue(Context& c, float weight_unit) const;

  QuantizationOptions options_;
  QuantizedWeights weights_;
  TensorDesc operand_, products_;
  std::int64_t channels_ = 0, widened_bytes_ = 0, refresh_scratch_ = 0, backward_scratch_ = 0;
  std::int64_t terms_ = 0;               ///< of a sum, that of the weights' source channels and taps
  std::int64_t byte_operand_bytes_ = 0;  ///< 0: the product is in floating point
  bool pairs_ = false;                   ///< each weight is two bytes
  bool bias_ = false, shifted_ = false, folded_ = false, needs_diff_src_ = false;
  std::size_t packed_ = 0, packed_data_ = 0, scale_ = 0, shift_ = 0, product_scale_ = 0;
  ConvForward forward_;
  ConvBackwardData backward_data_;
  ConvBackwardWeights backward_weights_;
};

}  // namespace sluice
