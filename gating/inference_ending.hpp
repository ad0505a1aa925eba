// The layers fused behind a gated layer in inference, done in a pass of their own: for kernels that end with the gate.
#pragma once

#include "core/graph/layer.hpp"
#include "layers/kernels/kernels.hpp"

namespace sluice {

class InferenceEnding {
 public:
  InferenceEnding() = default;
  /// Takes the post-ops that conv_accepts lets through. The numbers are Context::affine_scale and affine_shift.
  explicit InferenceEnding(Setup& setup);
  /// dst = clip(scale dst + shift + addend), in place.
  void run(Context& c) const;

 private:
  template <class T>
  void run_as(Context& c) const;

  bool empty_ = true;
  Ending ending_ = Ending::kNone;
  Clip clip_;
  int numbers_ = 0;  ///< kept: ones and zeros where nothing is affine
};

}  // namespace sluice
