// 3x3 convolutions of levels at stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016, arXiv
// 1509.09308) in whole numbers: the sums of a plain loop, in a quarter of its multiplications. Built once for each
// instruction set and chosen at run time.
//
// The points of interpolation are 0, +-1, +-2 and infinity. Rows of G are scaled until they are whole,
//         |  4  0 -5  0  1  0 |        | 6  0  0 |              | 1  2  2  1  1  0 |
//         |  0  4  4 -1 -1  0 |        | 2  2  2 |          A^T | 0  1 -1  1 -1  0 |
//   B^T = |  0 -4  4  1 -1  0 |    G = | 2 -2  2 |              | 0  1  1  2  2  0 |
//         |  0 -2 -1  2  1  0 |        | 1  2  4 |              | 0  1 -1  4 -4  2 |
//         |  0  2 -1 -2  1  0 |        | 1 -2  4 |
//         |  0  4  0 -5  0  1 |        | 0  0  6 |     which gives 24 times the first row, and 12 times the others.
// Source and weights fit 16 bits when they are transformed, and all sums 32 (kMostTerm): so the division is exact.
#pragma once

#include <cstdint>
#include <limits>

#include "core/base/cpu.hpp"
#include "layers/kernels/level_kernels.hpp"

namespace sluice {

/// Sizes of LevelShape::src_channels and dst_channels, in blocks of 16.
struct LevelWinograd {
  static constexpr std::int64_t kTile = 4, kEdge = 6, kPoints = 36;
  static constexpr std::int64_t kBlock = 16;  ///< channels
  static constexpr std::int64_t kUnits = 8;   ///< pairs of channels in a block
  static constexpr std::int64_t kGroup = 12;  ///< tiles that are multiplied together

  // The largest numbers that rows of B^T and G make of 1, squared; and the largest multiple of a result.
  static constexpr std::int64_t kSourceGain = 100, kWeightGain = 49, kResultGain = 24 * 24;

  std::int64_t src_blocks = 0, dst_blocks = 0;

  LevelWinograd() = default;
  LevelWinograd(std::int64_t inputs, std::int64_t outputs)
      : src_blocks((inputs + kBlock - 1) / kBlock), dst_blocks((outputs + kBlock - 1) / kBlock) {}

  /// Whether nothing is lost with so many levels on each side of 0.
  static constexpr bool is_exact(std::int64_t source_levels, std::int64_t weight_levels, std::int64_t inputs) {
    constexpr std::int64_t most = std::numeric_limits<std::int16_t>::max();
    return kSourceGain * source_levels <= most && kWeightGain * weight_levels <= most &&
           kResultGain * source_levels * weight_levels * 9 * inputs <= std::numeric_limits<std::int32_t>::max();
  }

  /// Units of packed weights: [block of outputs][point][block of inputs][unit][16 outputs].
  std::int64_t weights() const { return dst_blocks * kPoints * src_blocks * kUnits * kBlock; }
  /// From one point to the next of transformed sources, [point][block][tile][unit], and of products, [point][tile][16]:
  /// a line more than there is, because a cache has few places for powers of two.
  std::int64_t src_step() const { return src_blocks * kGroup * kUnits + 16; }
  static constexpr std::int64_t kProductStep = kGroup * kBlock + 16;
  /// Units of a tile's memory (LevelTile::work).
  std::int64_t work() const { return kPoints * (src_step() + kProductStep); }
};

/// All results of a tile. A pixel of the patch has pairs; whole blocks of them are read, and what stands behind its
/// channels does not matter. `weights` and `work`: as LevelWinograd says.
struct LevelWinogradKernels {
  void (*floats)(const LevelShape&, const LevelTile&, const LevelEnding&, const std::int32_t* weights,
                 std::int32_t* work, float* dst);
  /// In bytes: levels, or kNoLevel.
  void (*bytes)(const LevelShape&, const LevelTile&, const LevelEnding&, const std::int32_t* weights,
                std::int32_t* work, std::uint8_t* dst);
  /// The sums themselves, [pixel][dst_block], up to whole vectors of outputs. `open`: null for all of them, else
  /// [vector][pixel] of words (16 bits where a vector has 16 lanes, else 8) with a bit for each lane that is written.
  void (*sums)(const LevelShape&, const LevelTile&, const void* open, const std::int32_t* weights, std::int32_t* work,
               float* dst);
};

const LevelWinogradKernels& level_winograd_kernels(Isa isa = cpu_isa());

}  // namespace sluice
