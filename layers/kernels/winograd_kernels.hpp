// 3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, arXiv 1509.09308), built once for
// each instruction set and chosen at run time.
//
// An image's result is cut into tiles of 4 x 4 pixels, each of which sees 6 x 6 pixels of the source. Transformed, both
// have 36 points, at each of which the convolution is a product of matrices:
//   dst = A^T ((G w G^T) (.) (B^T src B)) A           diff_w = G^T ((A diff_dst A^T) (.) (B^T src B)) G
// All arithmetic is fp32. Channels come in blocks of 16, as in [N][C / 16][H][W][16] or NHWC.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"
#include "layers/kernels/block_mask.hpp"

namespace sluice {

/// The channels on one side of a convolution, and where they lie. Distances are in elements.
struct WinogradChannels {
  std::int64_t blocks = 0;
  std::int64_t pixel = 0, row = 0, block = 0, image = 0;  ///< from one to the next
  bool around = false;  ///< of a source: the pixels around the image are there too, and read instead of zeros
};

/// Stride 1, one pixel around the image, a zero unless it is there: source and result have the same height and width.
struct WinogradShape {
  static constexpr std::int64_t kTile = 4;
  static constexpr std::int64_t kBlock = BlockMask::kBlock;  ///< channels
  static constexpr std::int64_t kPoints = 36;
  static constexpr std::int64_t kGroup = 8;  ///< tiles that are multiplied together
  static constexpr std::int64_t kMostBlocks = BlockMask::kMostBlocks;

  std::int64_t images = 0, height = 0, width = 0;
  WinogradChannels src, dst;
  /// One block of the source, of which each half of a result's block sees its own half alone; other weights are zeros.
  bool halves = false;
  BlockMask mask = {};  ///< blocks of weights that are left out

  std::int64_t rows() const { return (height + kTile - 1) / kTile; }
  std::int64_t columns() const { return (width + kTile - 1) / kTile; }
  std::int64_t tiles() const { return images * rows() * columns(); }
  std::int64_t groups() const { return (tiles() + kGroup - 1) / kGroup; }
  /// Floats of packed weights, and of their gradient.
  std::int64_t weights() const { return kPoints * 256 * src.blocks * dst.blocks; }
  /// From one part of a gradient to the next: a processor's prefetcher runs ahead over the end of its own, and would
  /// take its neighbour's lines away.
  std::int64_t part() const { return weights() + 4096; }
};

/// Plain weights O x I x 3 x 3 as a convolution wants them: those of a gradient are turned by half a circle, and their
/// channels change places.
struct WinogradWeights {
  std::int64_t src_blocks = 0, dst_blocks = 0;  ///< of the convolution that takes them
  bool turned = false;

  std::int64_t count() const { return WinogradShape::kPoints * 256 * src_blocks * dst_blocks; }  ///< packed floats
};

/// What becomes of a result before it is stored: a bias is added, then what stands there, then it is clipped.
struct WinogradEpilogue {
  const float* bias = nullptr;  ///< by channel of the result, or null
  bool adds = false;
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();

  bool empty() const { return bias == nullptr && !adds && std::isinf(low) && std::isinf(high); }
};

/// Memory that a caller will need soon: a line for each pixel of the result and block of its channels. Distances are in
/// bytes.
struct WinogradAhead {
  const char* src = nullptr;
  const char* dst = nullptr;
  std::int64_t src_pixel = 0, src_block = 0, dst_pixel = 0, dst_block = 0;  ///< from one to the next
};

/// Part of the work: groups [begin, end) of tiles, blocks [first_block, last_block) of the result's channels.
struct WinogradRange {
  std::int64_t begin, end, first_block, last_block;
  const WinogradAhead* ahead = nullptr;  ///< fetched instead of the next group's source and this one's result
};

struct WinogradWeightKernels {
  /// One block of the result's channels of `packed`: [dst block][point][src channel][16 dst channels].
  void (*pack)(const WinogradWeights&, std::int64_t dst_block, const float* plain, float* packed);
  /// Adds the gradient of plain weights between two blocks of channels to `diff_plain`. The packed one is the sum, in
  /// their order, of `parts` arrays, each part() floats behind the last.
  void (*unpack)(const WinogradShape&, std::int64_t src_block, std::int64_t dst_block, const float* sums,
                 std::int64_t parts, float* diff_plain);
};

template <class T>
struct WinogradKernels {
  /// Each element of the result is the same in whatever range it is computed.
  void (*convolve)(const WinogradShape&, const WinogradRange&, const T* src, const float* weights,
                   const WinogradEpilogue&, T* dst);
  /// `sums`, laid out like packed weights, becomes the range's share of their gradient in the range's blocks.
  void (*weight_gradient)(const WinogradShape&, const WinogradRange&, const T* src, const T* diff_dst, float* sums);
};

const WinogradWeightKernels& winograd_weight_kernels(Isa isa = cpu_isa());
template <class T>
const WinogradKernels<T>& winograd_kernels(Isa isa = cpu_isa());

}  // namespace sluice
