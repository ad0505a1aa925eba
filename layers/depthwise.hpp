// Gradient of a depthwise convolution's filters, for geometries that oneDNN has no fast kernel for.
#pragma once

#include <string>

#include "core/graph/tensor.hpp"
#include "layers/kernels/depthwise_kernels.hpp"

namespace sluice {

struct ConvProblem;

class DepthwiseBackwardWeights {
 public:
  /// One group for each channel, and as many outputs.
  static bool fits(const ConvProblem& problem);

  DepthwiseBackwardWeights() = default;
  explicit DepthwiseBackwardWeights(const ConvProblem& problem);
  bool empty() const { return channels_ == 0; }
  std::string kernel() const;
  /// Adds to the plain fp32 `diff_weights` (C x 1 x K x K) and `diff_bias` (null without a bias), in an order that does
  /// not depend on the number of threads.
  void run(const void* src, const void* diff_dst, float* diff_weights, float* diff_bias) const;

 private:
  template <class T>
  void run_as(const T* src, const T* diff_dst, float* diff_weights, float* diff_bias) const;

  static constexpr std::int64_t kMostTaps = 49;
  DepthwiseImage image_;
  DataType type_ = DataType::kF32;
  std::int64_t images_ = 0, channels_ = 0;
};

}  // namespace sluice
