#include "layers/level_winograd.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/parallel.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kEdge = LevelWinograd::kEdge;

/// G w
std::array<std::int32_t, kEdge> transformed(std::int32_t w0, std::int32_t w1, std::int32_t w2) {
  return {6 * w0, 2 * (w0 + w1 + w2), 2 * (w0 - w1 + w2), w0 + 2 * w1 + 4 * w2, w0 - 2 * w1 + 4 * w2, 6 * w2};
}

/// Calls put(point, number) for G w G^T of one filter.
template <class Put>
void transform(const float* levels, Put&& put) {
  const auto whole = [](float level) { return static_cast<std::int32_t>(std::isnan(level) ? 0.0F : level); };
  std::array<std::array<std::int32_t, kEdge>, 3> rows;
  for (std::size_t y = 0; y < 3; ++y, levels += 3)
    rows[y] = transformed(whole(levels[0]), whole(levels[1]), whole(levels[2]));
  for (std::size_t x = 0; x < kEdge; ++x) {
    const auto column = transformed(rows[0][x], rows[1][x], rows[2][x]);
    for (std::size_t y = 0; y < kEdge; ++y) put(static_cast<std::int64_t>(y * kEdge + x), column[y]);
  }
}

}  // namespace

bool level_winograd_fits(const ConvGeometry& g, std::int64_t source_levels, std::int64_t weight_levels,
                         std::int64_t inputs) {
  return g.kernel == 3 && g.stride == 1 && g.dilation == 1 && g.groups == 1 &&
         LevelWinograd::is_exact(source_levels, weight_levels, inputs);
}

bool level_winograd_pays(std::int64_t inputs, std::int64_t height, std::int64_t width) {
  constexpr std::int64_t tile = LevelWinograd::kTile;
  const std::int64_t tiles = ((height + tile - 1) / tile) * ((width + tile - 1) / tile);
  return inputs >= LevelWinograd::kBlock && 2 * LevelWinograd::kPoints * tiles <= 9 * height * width;
}

void pack_level_winograd(const LevelWinograd& sizes, std::int64_t outputs, std::int64_t inputs, const float* levels,
                         std::int32_t* packed) {
  constexpr std::int64_t block = LevelWinograd::kBlock;
  const std::int64_t matrix = sizes.src_blocks * block * block, of_block = LevelWinograd::kPoints * matrix;
  auto* const to = reinterpret_cast<std::int16_t*>(packed);
  parallel_for(sizes.dst_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::fill(to + begin * of_block, to + end * of_block, std::int16_t{0});
    for (std::int64_t o = begin * block; o < std::min(end * block, outputs); ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        std::int16_t* const own = to + o / block * of_block + (i / 2 * block + o % block) * 2 + i % 2;
        transform(levels + (o * inputs + i) * 9, [&](std::int64_t point, std::int32_t number) {
          own[point * matrix] = static_cast<std::int16_t>(number);
        });
      }
    }
  });
}

}  // namespace sluice
