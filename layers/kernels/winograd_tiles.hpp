// Single tiles of Winograd's F(4x4, 3x3), at the channels of one native vector: from a source to points, and from
// points to a result. Included only by kernels' files, in whose namespaces they are.
#pragma once

#include "layers/kernels/winograd_memory.hpp"
#include "layers/kernels/winograd_transforms.hpp"

namespace sluice::SLUICE_ISA::winograd {

using namespace simd;

/// How results are stored: bf16 is rounded in one instruction where the processor has it.
enum class Rounding { kGeneric, kNative };

template <Rounding kRounding, class T>
SLUICE_INLINE void put(T* to, NativeF32 x) {
  store_part(to, x);
}
#ifdef __AVX512F__
// In assembler: the instruction set of the whole file has no bf16, and what is inlined cannot have more.
template <>
SLUICE_INLINE void put<Rounding::kNative>(BFloat16* to, NativeF32 x) {
  __m256i rounded;
  asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(x));
  store_native(to, rounded);
}
#endif

// One column of a strip, transformed: six vectors.
template <class T>
SLUICE_INLINE void transform_column(const Strip<T>& strip, std::int64_t column, float* to) {
  NativeF32 d[kEdge] = {};
  if (column >= strip.left && column < strip.right) {
    const T* const top = strip.first + column * strip.pixel;
    const std::int64_t pitch = strip.row;
    if (strip.begin == 0 && strip.end == kEdge) {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) d[i] = load_part(top + i * pitch);
    } else {
#pragma GCC unroll 6
      for (int i = 0; i < kEdge; ++i) {
        if (i >= strip.begin && i < strip.end) d[i] = load_part(top + i * pitch);
      }
    }
    transform_src(d);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kEdge; ++i) store_part(to + i * kNativeLanes, d[i]);
}

/// Columns of a strip that have been transformed, in a ring: neighbouring tiles share two.
struct Columns {
  static constexpr int kColumn = kEdge * kNativeLanes;
  alignas(64) float ring[8 * kColumn];
};

// B^T d B of one tile; points are `step` floats apart. `fresh`: the tile to the left was not the previous one.
template <class T>
SLUICE_INLINE void expand_src(const Strip<T>& strip, std::int64_t tile, bool fresh, Columns& columns, float* to,
                              std::int64_t step) {
  const std::int64_t first = kTile * tile;
#pragma GCC unroll 1
  for (std::int64_t c = fresh ? 0 : 2; c < kEdge; ++c) {
    transform_column(strip, first + c - 1, columns.ring + ((first + c) & 7) * Columns::kColumn);
  }
  const float *left = columns.ring + (first & 4) * Columns::kColumn,
              *right = columns.ring + (~first & 4) * Columns::kColumn;
#pragma GCC unroll 1
  for (int i = 0; i < kEdge; ++i, left += kNativeLanes, right += kNativeLanes) {
    NativeF32 d[kEdge] = {load_part(left),
                          load_part(left + Columns::kColumn),
                          load_part(left + 2 * Columns::kColumn),
                          load_part(left + 3 * Columns::kColumn),
                          load_part(right),
                          load_part(right + Columns::kColumn)};
    transform_src(d);
#pragma GCC unroll 6
    for (int j = 0; j < kEdge; ++j) store_part(to + (i * kEdge + j) * step, d[j]);
  }
}

/// A WinogradEpilogue at the channels of one native vector: nothing, as in training, or all that one can ask for.
struct NoEnding {
  SLUICE_INLINE NoEnding(const WinogradEpilogue& /*epilogue*/, std::int64_t /*channel*/) {}
  template <class T>
  SLUICE_INLINE NativeF32 operator()(NativeF32 y, const T* /*at*/) const {
    return y;
  }
};
class FullEnding {
 public:
  SLUICE_INLINE FullEnding(const WinogradEpilogue& epilogue, std::int64_t channel)
      : bias_{}, low_(epilogue.low - NativeF32{}), high_(epilogue.high - NativeF32{}), adds_(epilogue.adds) {
    if (epilogue.bias != nullptr) bias_ = load_part(epilogue.bias + channel);
  }
  /// `at`: where the result will stand. A NaN goes through.
  template <class T>
  SLUICE_INLINE NativeF32 operator()(NativeF32 y, const T* at) const {
    y += bias_;
    if (adds_) y += load_part(at);
    y = low_ > y ? low_ : y;
    return high_ < y ? high_ : y;
  }

 private:
  NativeF32 bias_, low_, high_;
  bool adds_;
};

// A^T m A of one tile, into the plane.
template <Rounding kRounding, class Ending, class T>
SLUICE_INLINE void reduce_dst(const WinogradShape& s, const Place& place, const float* from, std::int64_t step,
                              const Ending& ending, T* plane) {
  NativeF32 t[kTile][kEdge];
#pragma GCC unroll 1
  for (int j = 0; j < kEdge; ++j) {
    NativeF32 m[kEdge], y[kTile];
#pragma GCC unroll 6
    for (int i = 0; i < kEdge; ++i) m[i] = load_part(from + (i * kEdge + j) * step);
    transform_dst(m, y);
#pragma GCC unroll 4
    for (int i = 0; i < kTile; ++i) t[i][j] = y[i];
  }
  const std::int64_t row = place.row * kTile, column = place.column * kTile, pixel = s.dst.pixel;
  const std::int64_t below = s.height - row, rows = below < kTile ? below : kTile, beside = s.width - column;
#pragma GCC unroll 1
  for (std::int64_t i = 0; i < rows; ++i) {
    NativeF32 y[kTile];
    transform_dst(t[i], y);
    T* const to = plane + (row + i) * s.dst.row + column * pixel;
#pragma GCC unroll 4
    for (int j = 0; j < kTile; ++j) {
      if (j < beside) put<kRounding>(to + j * pixel, ending(y[j], to + j * pixel));
    }
  }
}

}  // namespace sluice::SLUICE_ISA::winograd
