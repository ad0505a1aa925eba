// What convolutions need that multiply levels by Winograd's algorithm (layers/kernels/level_winograd.hpp).
#pragma once

#include "layers/conv_geometry.hpp"
#include "layers/kernels/level_winograd.hpp"

namespace sluice {

/// 3x3 at stride 1, of levels whose transforms are exact.
bool level_winograd_fits(const ConvGeometry& geometry, std::int64_t source_levels, std::int64_t weight_levels,
                         std::int64_t inputs);
/// Whether it is at most half of the direct multiplications, tiles at the borders included, and source channels enough
/// that the transforms do not outweigh them.
bool level_winograd_pays(std::int64_t inputs, std::int64_t height, std::int64_t width);
/// `levels`: O x I x 3 x 3; what is no number counts as 0. `packed`: sizes.weights() units.
void pack_level_winograd(const LevelWinograd& sizes, std::int64_t outputs, std::int64_t inputs, const float* levels,
                         std::int32_t* packed);

}  // namespace sluice
