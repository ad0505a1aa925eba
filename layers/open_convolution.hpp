// The convolution of the channels that are open in an image, by Winograd's algorithm
// (layers/kernels/open_channel_kernels.hpp) or directly (layers/kernels/open_direct_kernels.hpp).
#pragma once

#include <string>

#include "core/graph/slots.hpp"
#include "core/graph/tensor.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/kernels/open_direct_kernels.hpp"

namespace sluice {

struct OpenProblem {
  ConvGeometry geometry;
  TensorDesc src, dst;
  bool closes_inputs = false, closes_outputs = false;
  bool adds = false;
  bool allow_winograd = true;  ///< of 3x3 filters at stride 1 with one pixel around the image
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
};

/// What comes with each run. Factors are N x C, 0 where a channel of an image is closed.
struct OpenFactors {
  const float* inputs = nullptr;   ///< of the source, whose closed channels are not read; if the problem closes inputs
  const float* outputs = nullptr;  ///< of the result, for a problem that closes outputs
};

/// Those of one image; `tensor` is what they are of. Null where there are none.
inline const float* factors_of(const float* factors, const TensorDesc& tensor, std::int64_t image) {
  return factors == nullptr ? nullptr : factors + image * tensor.shape[kC];
}

class OpenConvolution {
 public:
  /// No groups, fp32, channels in blocks of 16, or as NHWC and multiples of 16, and nothing to add where outputs are
  /// closed.
  static bool fits(const OpenProblem& problem);

  /// Made for the threads there are now.
  explicit OpenConvolution(const OpenProblem& problem, Isa isa = cpu_isa());
  std::string kernel() const;
  /// Kept memory for the weights, and scratch memory of `pack` and of `run`. To be called once, before these.
  void book(SlotBook& book, Scratch refresh, Scratch forward);
  /// `weights`: O x I x KH x KW.
  void pack(const Memory& memory, const float* weights) const;
  /// dst = clip(conv(src) + bias + dst) factor, where the problem adds and closes. `bias`: by output, or null. Same
  /// bits with any number of threads.
  void run(const Memory& memory, const float* src, const OpenFactors& factors, const float* bias, float* dst) const;

 private:
  void make_shapes();
  void cut(std::int64_t threads);
  std::int64_t whole_images(std::int64_t threads) const;
  std::int64_t direct_rows() const;
  void book_piece();
  OpenPart part(std::int64_t index) const;
  OpenMemory memory_of(const Memory& piece) const;

  OpenProblem problem_;
  Isa isa_;
  bool winograd_ = false;
  WinogradShape shape_;  ///< of one image, as the next
  DirectShape direct_;
  std::int64_t all_rows_ = 0, all_columns_ = 0;                    ///< of an image: tiles, or rows of pixels
  std::int64_t images_ = 1, rows_ = 0, columns_ = 0, blocks_ = 0;  ///< of a part
  std::int64_t row_parts_ = 0, column_parts_ = 0, parts_ = 0;      ///< parts: of an image
  std::int64_t pieces_ = 0;                                        ///< of work that may run side by side
  Slot<float> packed_;
  Slot<float> in_blocks_;  ///< in pack: weights with outputs in lanes
  Blocks piece_memory_;
  SlotBook piece_;
  Slot<float> expanded_, products_, dst_, bias_;
  Slot<std::int32_t> inputs_, outputs_;
};

}  // namespace sluice
