// Inference of a quantised layer in whole numbers, in levels from one layer to the next, with all that is fused behind.
#pragma once

#include <vector>

#include "core/graph/op.hpp"
#include "layers/level_convolution.hpp"

namespace sluice {

/// A convolution of levels. Parameter 0 of the layer is the weights, O x I x KH x KW, parameter 1 the bias, if there is
/// one; buffer 0 the scale of its source. For sources that LevelConvolution::fits, in fp32 or in their levels.
class QuantizedLevels : public Op {
 public:
  /// `order`: the weights' input by its place in the source, for filters 1x1; empty: they are in order.
  QuantizedLevels(const OpRequest& request, const ConvGeometry& geometry, const QuantizationOptions& options, bool bias,
                  OpNeeds& needs, std::vector<std::int64_t> order = {});

  void refresh(const Context& c) override;
  void forward(const Context& c) override;

 private:
  const float* in_order(const Memory& memory, const float* levels) const;

  QuantizationOptions options_;
  std::int64_t channels_;
  bool bias_;
  std::vector<std::int64_t> order_;
  LevelConvolution product_;
  QuantizedWeights weights_;
  Slot<float> levels_, ordered_;               ///< of the weights, in refresh
  Slot<float> scale_, shift_, product_scale_;  ///< by channel
};

}  // namespace sluice
