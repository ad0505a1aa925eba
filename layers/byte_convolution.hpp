// A dense convolution of inference whose weights and source are rounded to bytes.
//
//   src ~ step * round(src / step), 0 to 127 steps of the measured range / 127
//   W[o] ~ step[o] * round(W[o] / step[o]), -127 to 127 steps of max |W[o]| / 127
// Sums of such products are exact. A source in bytes is such levels already.
#pragma once

#include "layers/convolution.hpp"

namespace sluice {

/// The step of some weights: that of their largest magnitude; 1 where all are as good as 0; NaN where one is NaN.
float byte_step(const float* weights, std::int64_t count);
/// The level of a weight, -127 to 127; 0 where the step is NaN.
float byte_level(float weight, float step);

class ByteConvolution {
 public:
  ByteConvolution() = default;
  /// Takes the post-ops that conv_accepts lets through; Setup::dst_starts_as_addend is decided. Empty where no range
  /// was measured, the source may hold numbers below 0, or oneDNN has no fast kernel.
  ByteConvolution(Setup& setup, const ConvGeometry& geometry);
  bool empty() const { return kernel_.empty(); }
  const std::string& kernel() const { return kernel_; }

  /// `weights`: O x I/groups x KH x KW; `bias`: O, null where there is none.
  void refresh(Context& c, const float* weights, const float* bias);
  void forward(Context& c);

 private:
  float* numbers(const Context& c, std::size_t which) const { return static_cast<float*>(c.kept[which]); }

  ConvForward product_;
  std::string kernel_;
  TensorDesc src_;              ///< in bytes, whatever it comes in
  float unit_ = 1;              ///< of scale and shift: the result's step, or 1
  bool adds_in_place_ = false;  ///< what is added stands in the result's memory
  bool widens_addend_ = false;  ///< ... after it has been brought there, from bytes
  std::int64_t channels_ = 0, filter_ = 0, src_bytes_ = 0, level_bytes_ = 0;
  std::size_t packed_ = 0, scale_ = 0, shift_ = 0;  ///< kept
};

}  // namespace sluice
