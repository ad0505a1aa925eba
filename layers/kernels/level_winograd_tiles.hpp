// Single tiles of Winograd's F(4x4, 3x3) in whole numbers (layers/kernels/level_winograd.hpp): from a patch of pairs to
// points, and from points to sums.
#pragma once

#include <type_traits>

#include "layers/kernels/level_winograd.hpp"
#include "layers/kernels/whole_products.hpp"

namespace sluice::SLUICE_ISA::whole_winograd {

using namespace simd;

constexpr int kTile = LevelWinograd::kTile, kEdge = LevelWinograd::kEdge, kPoints = LevelWinograd::kPoints;
constexpr int kGroup = LevelWinograd::kGroup, kUnits = LevelWinograd::kUnits;

/// Channels of a block, all of them or as many as a native vector holds.
constexpr int kChannelBytes = kNativeBytes < 32 ? kNativeBytes : 32, kChannelParts = 32 / kChannelBytes;
typedef std::int16_t Channels __attribute__((vector_size(kChannelBytes)));

/// Where a tile stands among those of a LevelTile.
struct Place {
  std::int64_t image, row, column;
};

struct Tiles {
  std::int64_t images, rows, columns;

  SLUICE_INLINE Tiles(const LevelShape& s, const LevelTile& t)
      : images(t.images), rows((t.rows + kTile - 1) / kTile), columns((s.dst_width + kTile - 1) / kTile) {}
  SLUICE_INLINE std::int64_t count() const { return images * rows * columns; }
  SLUICE_INLINE Place place(std::int64_t tile) const {
    return {tile / columns / rows, tile / columns % rows, tile % columns};
  }
  SLUICE_INLINE void advance(Place& p) const {
    if (++p.column < columns) return;
    p.column = 0;
    if (++p.row < rows) return;
    p.row = 0;
    ++p.image;
  }
};

/// B^T d
SLUICE_INLINE void transform_levels(Channels (&d)[kEdge]) {
  const Channels even = d[4] - d[2], odd = d[3] - d[1], twice = odd + odd;
  const Channels g = (d[2] << 2) - d[4], h = (d[1] << 2) - d[3];
  d[0] = ((d[0] - d[2]) << 2) + even;
  d[5] = (d[5] - d[3]) - (twice + twice);
  d[1] = g + h;
  d[2] = g - h;
  d[3] = even + twice;
  d[4] = even - twice;
}

/// A^T m
SLUICE_INLINE void transform_sums(const NativeU32 (&m)[kEdge], NativeU32 (&y)[kTile]) {
  const NativeU32 p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
  y[0] = (m[0] + r) + (p + p);
  y[1] = q + s;
  y[2] = p + (r + r);
  y[3] = q + ((s + s + m[5]) << 1);
}

/// The sum that 24 or 12 times itself is, in both directions.
template <int kRow, int kColumn>
SLUICE_INLINE NativeI32 divided(NativeU32 y) {
  constexpr std::uint32_t ninth = 0x38e38e39;  // times 9 is 1, in 32 bits
  constexpr int shift = (kRow == 0 ? 3 : 2) + (kColumn == 0 ? 3 : 2);
  static_assert(ninth * 9 == 1);
  return reinterpret_cast<NativeI32>(reinterpret_cast<NativeU32>(reinterpret_cast<NativeI32>(y) >> shift) * ninth);
}

/// The part of an image's patch that a row of tiles sees, at some channels.
struct Strip {
  const std::int32_t* first;   ///< pixel (0, 0)
  std::int64_t rows, columns;  ///< that are there
  std::int64_t pixel, row;     ///< from one to the next
};

/// One column of a strip, transformed.
SLUICE_INLINE void transform_column(const Strip& strip, std::int64_t column, Channels* to) {
  Channels d[kEdge] = {};
  if (column < strip.columns) {
    const std::int32_t* const top = strip.first + column * strip.pixel;
    if (strip.rows >= kEdge) {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) d[i] = load_native<Channels>(top + i * strip.row);
    } else {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) {
        if (i < strip.rows) d[i] = load_native<Channels>(top + i * strip.row);
      }
    }
    transform_levels(d);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kEdge; ++i) to[i] = d[i];
}

/// Columns of a strip that have been transformed, in a ring: neighbouring tiles share two.
struct Columns {
  Channels ring[8][kEdge];
};

/// B^T d B of one tile; points are `step` units apart. `fresh`: the tile to the left was not the previous one.
SLUICE_INLINE void expand_tile(const Strip& strip, std::int64_t tile, bool fresh, Columns& columns, std::int32_t* to,
                               std::int64_t step) {
  const std::int64_t first = kTile * tile;
#pragma GCC unroll 1
  for (std::int64_t c = fresh ? 0 : 2; c < kEdge; ++c)
    transform_column(strip, first + c, columns.ring[(first + c) & 7]);
  const Channels(*const left)[kEdge] = columns.ring + (first & 4), (*const right)[kEdge] = columns.ring + (~first & 4);
#pragma GCC unroll 1
  for (int i = 0; i < kEdge; ++i) {
    Channels d[kEdge] = {left[0][i], left[1][i], left[2][i], left[3][i], right[0][i], right[1][i]};
    transform_levels(d);
#pragma GCC unroll 6
    for (int j = 0; j < kEdge; ++j) store_native(to + (i * kEdge + j) * step, d[j]);
  }
}

/// A^T m A of one tile at one native vector of outputs: calls put(row, column, sum) for its pixels.
template <class Put>
SLUICE_INLINE void reduce_tile(const std::int32_t* from, std::int64_t rows, std::int64_t columns, Put&& put) {
  NativeU32 t[kTile][kEdge];
#pragma GCC unroll 1
  for (int j = 0; j < kEdge; ++j) {
    NativeU32 m[kEdge], y[kTile];
#pragma GCC unroll 6
    for (int i = 0; i < kEdge; ++i) m[i] = load_native<NativeU32>(from + (i * kEdge + j) * LevelWinograd::kProductStep);
    transform_sums(m, y);
#pragma GCC unroll 4
    for (int i = 0; i < kTile; ++i) t[i][j] = y[i];
  }
  const auto put_row = [&](auto row) __attribute__((always_inline)) {
    constexpr int kRow = decltype(row)::value;
    if (kRow >= rows) return;
    NativeU32 y[kTile];
    transform_sums(t[kRow], y);
    put(kRow, 0, divided<kRow, 0>(y[0]));
    if (columns > 1) put(kRow, 1, divided<kRow, 1>(y[1]));
    if (columns > 2) put(kRow, 2, divided<kRow, 1>(y[2]));
    if (columns > 3) put(kRow, 3, divided<kRow, 1>(y[3]));
  };
  put_row(std::integral_constant<int, 0>{});
  put_row(std::integral_constant<int, 1>{});
  put_row(std::integral_constant<int, 2>{});
  put_row(std::integral_constant<int, 3>{});
}

}  // namespace sluice::SLUICE_ISA::whole_winograd
