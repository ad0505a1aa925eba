// Products of pixels in int8 with filters of one pixel (layers/int8_product.hpp), built once for each instruction set
// and chosen at run time.
#pragma once

#include <cstdint>

#include "core/base/cpu.hpp"

namespace sluice {

/// Some pixels of the source, levels 0 to 127, and where their results go.
struct ByteRows {
  const std::uint8_t* const* src = nullptr;  ///< by row
  std::int64_t count = 0;
  std::int64_t first = 0;  ///< the result's row of the first one
};

/// Weights -127 to 127 of a block of outputs, as units of four inputs: units[unit][output], four bytes each. Two units
/// make a pair where sums of two products of each fit 16 bits; what makes no pair stands behind the pairs.
struct ByteWeights {
  const std::int32_t* units = nullptr;
  const std::int32_t* places = nullptr;  ///< by unit: its first byte in a row
  std::int64_t pairs = 0, singles = 0;
};

/// clip(factor (scale sum + shift + addend)): each step is rounded. Of the block's outputs, `channels` of them in a row
/// of the result and of the addend.
struct ByteEnding {
  const float* scale = nullptr;
  const float* shift = nullptr;
  const float* addend = nullptr;               ///< in floats; or null
  const std::uint8_t* addend_bytes = nullptr;  ///< in levels; or null
  float addend_scale = 1;                      ///< of a level
  float factor = 1;
  float low = 0, high = 0;
  std::int64_t channels = 0;
};

struct ByteProducts {
  std::int64_t outputs;  ///< in a block
  /// `outputs` of them from channel `first` on.
  void (*floats)(const ByteRows&, const ByteWeights&, const ByteEnding&, std::int64_t first, std::int64_t outputs,
                 float* dst);
  /// In bytes, low and high being within 0 and 127; low for what is no number.
  void (*bytes)(const ByteRows&, const ByteWeights&, const ByteEnding&, std::int64_t first, std::int64_t outputs,
                std::uint8_t* dst);
};

const ByteProducts& byte_products(Isa isa = cpu_isa());

}  // namespace sluice
