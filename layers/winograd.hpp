// 3x3 convolutions between few channels by Winograd's algorithm, where oneDNN has only direct ones or is slower.
#pragma once

#include <string>

#include "core/graph/tensor.hpp"
#include "layers/kernels/winograd_kernels.hpp"

namespace sluice {

struct ConvProblem;

/// Whether the kernels are for a problem: 3x3 at stride 1 with a zero around the image, 16 to 64 channels in blocks of
/// 16 or as NHWC, fp32 or bf16 on both sides, not scaled; processors with AVX2; images that fill their tiles.
bool winograd_fits(const ConvProblem& problem);
/// The name of the kernels in the layer table.
std::string winograd_kernel();

/// The convolution, or the gradient of its source: the convolution of diff_dst with the filters turned.
class WinogradConvolution {
 public:
  WinogradConvolution() = default;
  WinogradConvolution(const ConvProblem& problem, bool gradient);
  bool empty() const { return shape_.images == 0; }
  /// What the plain weights become.
  WinogradWeights weights() const { return {shape_.src.blocks, shape_.dst.blocks, gradient_}; }
  /// `bias`: by output channel, or null. A kAdd operand stands in `dst`. Same bits with any number of threads.
  void run(const void* src, const void* packed, const float* bias, void* dst) const;

 private:
  WinogradShape shape_;
  WinogradEpilogue epilogue_;  ///< but for the bias
  DataType type_ = DataType::kF32;
  bool gradient_ = false;
};

/// Without a bias.
class WinogradBackwardWeights {
 public:
  WinogradBackwardWeights() = default;
  explicit WinogradBackwardWeights(const ConvProblem& problem);
  bool empty() const { return shape_.images == 0; }
  std::int64_t scratch_bytes() const { return parts_ * shape_.part() * 4; }
  /// Adds to the plain fp32 `diff_weights` (O x I x 3 x 3). Same bits each time with the same number of threads.
  void run(const void* src, const void* diff_dst, float* diff_weights, void* scratch) const;

 private:
  WinogradShape shape_;
  DataType type_ = DataType::kF32;
  std::int64_t parts_ = 0;  ///< of the sum over tiles: one for each thread
};

}  // namespace sluice
