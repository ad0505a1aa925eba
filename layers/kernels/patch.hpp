// How a tile's patch is filled, whatever it consists of: pixel by pixel with all channels, zeros around the image.
#pragma once

#include "core/base/simd.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// Zeroes units of 4 bytes, and up to a vector of what is written later.
template <class Unit>
SLUICE_INLINE void clear(Unit* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kNativeLanes) store_native(to + i, NativeF32{});
}

/// One image's source: channels from a multiple of a vector on lie side by side.
template <class T>
struct Source {
  const T* image;
  std::int64_t block, plane;

  SLUICE_INLINE const T* at(std::int64_t channel, std::int64_t pixel) const {
    return image + channel / block * plane + pixel * block + channel % block;
  }
};

/// Zeroes what lies around the images of a tile, and calls copy(image, pixel, count, units) for each row of them that
/// it sees: `count` pixels from `pixel` on. Shape and tile: SkipShape and SkipTile, LevelShape and LevelTile.
template <class Unit, class Shape, class Tile, class T, class Copy>
SLUICE_INLINE void fill_patch(const Shape& s, const Tile& t, const T* src, Copy&& copy) {
  const std::int64_t rows = s.src_rows(t.rows), first = t.row * s.stride - s.pad;
  const std::int64_t plane = s.src_height * s.src_width * s.src_block;
  const std::int64_t left = s.pad < s.columns ? s.pad : s.columns;
  const std::int64_t count = s.columns - left < s.src_width ? s.columns - left : s.src_width;
  const std::int64_t right = s.columns - left - count;
  auto* to = static_cast<Unit*>(t.patch);
  for (std::int64_t n = 0; n < t.images; ++n) {
    const T* const image = src + (t.image + n) * s.src_channels * s.src_height * s.src_width;
    const Source<T> source{image, s.src_block, plane};
    for (std::int64_t row = 0; row < rows; ++row, to += s.row_pitch()) {
      const std::int64_t y = first + row;
      if (y < 0 || y >= s.src_height) {
        clear(to, s.row_pitch());
        continue;
      }
      Unit* const pixels = to + left * s.pitch;
      clear(to, left * s.pitch);
      copy(source, y * s.src_width, count, pixels);
      clear(pixels + count * s.pitch, right * s.pitch);
    }
  }
  clear(to, kNativeLanes);  // vectors may read so much too far
}

}  // namespace
}  // namespace sluice::SLUICE_ISA
