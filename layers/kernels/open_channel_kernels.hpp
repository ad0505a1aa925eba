// 3x3 convolutions of the channels alone that are open in an image, by Winograd's F(4x4, 3x3)
// (layers/kernels/winograd_kernels.hpp), built once for each instruction set and chosen at run time.
//
// Products are over open channels of the source alone. Where all outputs are wanted, lanes of a vector are outputs, as
// in Winograd's other kernels. Where few are, lanes are points: at each of its 36 points a tile's product is one of
// matrices,
//   M[output][point] = sum over channels of W[output][channel][point] S[channel][point],
// in which any output can be left out. The open ones stand side by side until they are stored, zeros between them.
#pragma once

#include <cstdint>

#include "core/base/cpu.hpp"
#include "layers/kernels/winograd_kernels.hpp"

namespace sluice {

/// Part of the work: a rectangle of tiles, kMostTiles at most, and blocks of the result's channels; of one image, or of
/// several, which then read the same weights: kMostTiles in all, those of each up to a multiple of
/// OpenKernels::together.
struct OpenPart {
  static constexpr std::int64_t kMostTiles = 16, kMostImages = 4;

  std::int64_t row = 0, end_row = 0, column = 0, end_column = 0;
  std::int64_t block = 0, end_block = 0;
  std::int64_t images = 1;

  std::int64_t columns() const { return end_column - column; }
  std::int64_t tiles() const { return (end_row - row) * columns(); }
};

/// The first image; others lie behind it. Factors are by channel, 0 where it is closed; null: all are open.
struct OpenOperands {
  const float* src = nullptr;
  const float* weights = nullptr;
  const float* inputs = nullptr;   ///< factors that the source was multiplied by
  const float* outputs = nullptr;  ///< factors that the result is multiplied by behind all else
  WinogradEpilogue epilogue;       ///< adds where all outputs are wanted alone
  float* dst = nullptr;
};

/// Memory of one part.
struct OpenMemory {
  float* expanded = nullptr;  ///< transformed
  float* products = nullptr;
  float* dst = nullptr;                                ///< open channels of the result, pixel by pixel
  float* bias = nullptr;                               ///< of these
  std::int32_t *inputs = nullptr, *outputs = nullptr;  ///< which are open

  // Floats, or numbers, that each takes for so many channels.
  static constexpr std::int64_t kLanes = 16;  ///< of the largest vector
  static std::int64_t expanded_floats(std::int64_t inputs) {
    return WinogradShape::kPoints * (OpenPart::kMostTiles * inputs + kLanes);
  }
  static std::int64_t product_floats(std::int64_t outputs) {
    return WinogradShape::kPoints * (OpenPart::kMostTiles * outputs + kLanes);
  }
  static std::int64_t dst_floats(std::int64_t pixels, std::int64_t outputs) { return pixels * outputs + kLanes; }
  static constexpr std::int64_t listed(std::int64_t channels) { return channels + kLanes; }  ///< of each image
};

struct OpenKernels {
  std::int64_t together;  ///< tiles that are multiplied together
  /// Of an image's shape (one image). All outputs, by weights that WinogradWeightKernels::pack made.
  void (*all_outputs)(const WinogradShape&, const OpenPart&, const OpenOperands&, const OpenMemory&);
  /// Open outputs, zeros for the others, by weights from `order`.
  void (*open_outputs)(const WinogradShape&, const OpenPart&, const OpenOperands&, const OpenMemory&);
  /// Packed weights, with points in lanes: [vector of points][output][channel][lane], then, where 36 is no multiple of
  /// the lanes, [output][channel][the rest].
  void (*order)(const WinogradShape&, const float* packed, float* ordered);
};

const OpenKernels& open_kernels(Isa isa = cpu_isa());

}  // namespace sluice
