// Convolutions of bytes of any geometry, of the channels alone that are open in an image, built once for each
// instruction set and chosen at run time. Outputs are in the lanes of a vector, four inputs in each lane: for each
// image its open inputs are put side by side, and the weights of open inputs and outputs with them.
#pragma once

#include "layers/kernels/byte_kernels.hpp"
#include "layers/kernels/open_direct_kernels.hpp"

namespace sluice {

/// Weights -127 to 127. One of both; four inputs at a tap are a unit.
struct OpenByteWeights {
  const std::uint8_t* bytes = nullptr;   ///< [tap][input][output], where inputs are closed
  const std::int32_t* quads = nullptr;   ///< [unit][output], four bytes each, where outputs are alone; pairs first
  const std::int32_t* places = nullptr;  ///< of these units, from a pixel's first one
  std::int64_t pairs = 0;                ///< of them (ByteWeights)
};

/// Memory of a piece of work.
struct OpenByteMemory {
  std::int32_t *inputs = nullptr, *outputs = nullptr;  ///< which are open
  std::int32_t* input_starts = nullptr;                ///< open ones before each 16
  std::int32_t* output_starts = nullptr;               ///< ... before each vector
  std::int32_t* places = nullptr;                      ///< of units
  std::int32_t* units = nullptr;                       ///< weights: [unit][open output]
  std::int32_t* row = nullptr;                         ///< ... of one unit, of all outputs
  std::uint8_t* picks = nullptr;                       ///< of 16 inputs each: the open ones' places in front
  std::uint8_t* patch = nullptr;                       ///< open inputs of some rows, zeros around the image
  const std::uint8_t** pixels = nullptr;               ///< where the filter is in the patch, for each of the result's
  float *scale = nullptr, *shift = nullptr;            ///< of open outputs
  float* dst = nullptr;                                ///< open outputs, pixel by pixel

  // Elements that each takes for so many channels, taps, ...
  static constexpr std::int64_t kSlack = 64;  ///< what may be written or read behind the last one
  static std::int64_t listed(std::int64_t channels) { return channels + kSlack; }
};

/// An image of a batch, and what is open in it. Factors are by channel, 0 where it is closed; null: all are open.
struct OpenByteImage {
  std::int64_t index = 0;
  const std::uint8_t* src = nullptr;  ///< the first image
  void* dst = nullptr;                ///< the same
  ByteEnding ending;                  ///< by all outputs
  const float* inputs = nullptr;      ///< factors that the source was multiplied by
  const float* outputs = nullptr;     ///< factors that the result is multiplied by behind all else; then it is floats
  // As `choose` finds them.
  std::int64_t open_inputs = 0, open_outputs = 0;
  ByteWeights weights;
};

struct OpenByteKernels {
  /// Brings the open channels' weights together, for what follows with the same memory.
  void (*choose)(const DirectShape&, const OpenByteWeights&, OpenByteImage&, const OpenByteMemory&);
  /// Rows of the result [row, end_row).
  void (*floats)(const DirectShape&, const OpenByteImage&, std::int64_t row, std::int64_t end_row,
                 const OpenByteMemory&);
  void (*bytes)(const DirectShape&, const OpenByteImage&, std::int64_t row, std::int64_t end_row,
                const OpenByteMemory&);
};

const OpenByteKernels& open_byte_kernels(Isa isa = cpu_isa());

/// Pixels of a row that the filter sees.
inline std::int64_t patch_columns(const DirectShape& s) {
  return (s.dst_width - 1) * s.stride + (s.kernel - 1) * s.dilation + 1;
}

}  // namespace sluice
