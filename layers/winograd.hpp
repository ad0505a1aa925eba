// 3x3 convolutions by Winograd's algorithm, where oneDNN has only direct ones or is slower.
#pragma once

#include <string>

#include "core/graph/slots.hpp"
#include "core/graph/tensor.hpp"
#include "layers/channel_groups.hpp"
#include "layers/kernels/winograd_kernels.hpp"

namespace sluice {

struct ConvGeometry;
struct ConvProblem;

/// Where the channels of an activation are, in blocks of 16 or as NHWC.
WinogradChannels winograd_channels(const TensorDesc& tensor);
/// 3x3 at stride 1 with one pixel around the image: what the kernels can do.
bool is_winograd_geometry(const ConvGeometry& geometry);
/// Whether the kernels are for a problem, and fast: 3x3 at stride 1 with a zero around the image, channels in blocks of
/// 16 or as NHWC, fp32 or bf16 on both sides, not scaled; processors with AVX2; images that fill their tiles.
bool winograd_fits(const ConvProblem& problem);
void pack_winograd(const WinogradWeights& wanted, const float* plain, float* packed, Isa isa = cpu_isa());
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

class WinogradBackwardWeights {
 public:
  WinogradBackwardWeights() = default;
  explicit WinogradBackwardWeights(const ConvProblem& problem);
  bool empty() const { return shape_.images == 0; }
  void book(Scratch backward);
  /// Adds to the plain fp32 `diff_weights` (O x I x 3 x 3), and to `diff_bias` unless it is null. Same bits each time
  /// with the same number of threads.
  void run(const Memory& memory, const void* src, const void* diff_dst, float* diff_weights, float* diff_bias) const;

 private:
  template <class T>
  void run_as(const Memory& memory, const T* src, const T* diff_dst, float* diff_bias) const;

  WinogradShape shape_;
  ChannelGroups dst_;
  DataType type_ = DataType::kF32;
  std::int64_t parts_ = 0;   ///< of the sum over tiles
  std::int64_t pieces_ = 0;  ///< of each part, by the result's channels
  Slot<float> sums_;         ///< part by part
  Slot<double> bias_sums_;   ///< before them
};

}  // namespace sluice
