// The weights of a convolution in inference, with what is affine behind it put in.
#pragma once

#include "layers/conv_geometry.hpp"

namespace sluice {

/// Parameter 0 is the weights, parameter 1 the bias, if there is one.
class FoldedWeights {
 public:
  FoldedWeights(const OpRequest& request, const ConvGeometry& geometry, bool bias);

  bool has_bias() const { return bias_ || folded_; }
  /// Kept memory, and scratch memory of refresh in front of whatever that is used for afterwards.
  void book(SlotBook& book, Scratch& refresh);
  /// In refresh: weights[o] * scale[o], O x I x KH x KW; the bias that goes with them is kept.
  const float* fold(const Context& c) const;
  /// In forward: by output channel, or null.
  const float* bias(const Context& c) const;

 private:
  bool bias_ = false, folded_ = false;
  std::int64_t channels_ = 0, filter_ = 0;  ///< filter: weights of one output
  Slot<float> scaled_, folded_bias_;
};

}  // namespace sluice
