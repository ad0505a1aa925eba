// Inference of a quantised layer in whole numbers, in levels from one layer to the next, with all that is fused behind.
#pragma once

#include <vector>

#include "core/graph/op.hpp"
#include "layers/level_convolution.hpp"

namespace sluice {

/// A convolution of levels. Parameter 0 of the layer is the weights, O x I x KH x KW, parameter 1 the bias, if there is
/// one; buffer 0 the scale of its source. For sources that LevelConvolution::fits, in fp32 or in their levels. Where
/// Winograd's algorithm may be faster it is a second way, to the same bits.
class QuantizedLevels : public Op {
 public:
  /// `order`: the weights' input by its place in the source, for filters 1x1; empty: they are in order.
  QuantizedLevels(const OpRequest& request, const ConvGeometry& geometry, const QuantizationOptions& options, bool bias,
                  OpNeeds& needs, std::vector<std::int64_t> order = {});

  void refresh(const Context& c) override;
  void forward(const Context& c) override;

 private:
  void add_ways(const OpRequest& request, LevelProblem problem, OpNeeds& needs);
  std::int64_t padded() const { return ways_.front().padded(); }
  const float* in_order(const Memory& memory, const float* levels) const;

  QuantizationOptions options_;
  std::int64_t channels_;
  bool bias_;
  std::vector<std::int64_t> order_;
  std::vector<LevelConvolution> ways_;  ///< by alternative
  QuantizedWeights weights_;
  Slot<float> levels_, ordered_;               ///< of the weights, in refresh
  Slot<float> scale_, shift_, product_scale_;  ///< by channel
};

}  // namespace sluice
