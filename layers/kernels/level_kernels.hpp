// The parts of a convolution of levels (layers/level_convolution.hpp), built once for each instruction set and chosen
// at run time.
//
// The work is cut into tiles: some rows of one image, or some whole images. A tile's source is copied to a patch of
// levels, pixel by pixel with all channels, zeros around the image. Patch and weights consist of units of 4 bytes.
// Output channels are taken in vectors of the processor's own size; sums are exact, and what is made of them goes where
// it belongs at once.
#pragma once

#include <cstdint>

#include "core/base/cpu.hpp"
#include "layers/kernels/patch_shape.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {

/// In levels that lie in bytes (OpRequest::dst_levels), what is no number.
constexpr int kNoLevel = 255;

/// What a unit is.
enum class LevelUnits {
  kPairs,  ///< two channels in 16 bits, signed
  kQuads   ///< four channels in bytes: 0 to 127, times signed bytes
};

struct LevelShape : PatchShape {
  std::int64_t together = 0;  ///< of quads: so many units give sums of two products each that fit 16 bits
};

struct LevelTile {
  std::int64_t image = 0, images = 1;  ///< first and number
  std::int64_t row = 0, rows = 0;      ///< of the result
  void* patch = nullptr;               ///< units
};

/// Makes the patch. Returns whether there is what is no number, whose level is 0.
struct LevelLoads {
  bool (*floats)(const LevelShape&, const LevelTile&, LevelRange, const float* src);
  /// The source is in levels already, 0 to 127 or kNoLevel.
  bool (*bytes)(const LevelShape&, const LevelTile&, const std::uint8_t* src);
};

/// clip(scale sum + shift + addend), each step rounded; scale and shift by output channel, up to whole vectors.
struct LevelEnding {
  const float* scale = nullptr;
  const float* shift = nullptr;
  const float* addend = nullptr;  ///< like the result; or null
  bool clips = false;
  float low = 0, high = 0;
  LevelRange range;  ///< of a result in levels
};

/// Results of one vector of output channels. `weights`: [tap][unit][lane].
struct LevelProducts {
  std::int64_t lanes;
  void (*floats)(const LevelShape&, const LevelTile&, const LevelEnding&, std::int64_t vector, const void* weights,
                 float* dst);
  /// In bytes: levels, or kNoLevel.
  void (*bytes)(const LevelShape&, const LevelTile&, const LevelEnding&, std::int64_t vector, const void* weights,
                std::uint8_t* dst);
};

const LevelLoads& level_loads(LevelUnits units, Isa isa = cpu_isa());
const LevelProducts& level_products(LevelUnits units, Isa isa = cpu_isa());

}  // namespace sluice
