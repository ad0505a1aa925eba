// Where the tiles of Winograd's kernels lie in memory, and what is fetched ahead. Included only by the kernels' file,
// in whose namespaces they are.
#pragma once

#include "layers/kernels/winograd_kernels.hpp"
#include "layers/kernels/winograd_transforms.hpp"

namespace sluice::SLUICE_ISA::winograd {

using simd::kLanes;
using simd::kNativeLanes;

constexpr int kGroup = WinogradShape::kGroup, kPoints = WinogradShape::kPoints;
constexpr std::int64_t kStep = kGroup * kLanes;  // floats of one block of channels at one point

/// Where a tile stands.
struct Place {
  std::int64_t image, row, column;
};

SLUICE_INLINE Place place_of(const WinogradShape& s, std::int64_t tile) {
  const std::int64_t columns = s.columns(), rows = s.rows();
  return {tile / columns / rows, tile / columns % rows, tile % columns};
}

SLUICE_INLINE void advance(const WinogradShape& s, Place& p) {
  if (++p.column < s.columns()) return;
  p.column = 0;
  if (++p.row < s.rows()) return;
  p.row = 0;
  ++p.image;
}

/// The first element of a block of channels of one image.
template <class T>
SLUICE_INLINE T* plane_of(const WinogradChannels& side, T* first, std::int64_t image, std::int64_t block) {
  return first + image * side.image + block * side.block;
}

/// The part of an image's plane that a row of tiles sees; of its channels, as many as a native vector holds.
template <class T>
struct Strip {
  const T* first;            ///< pixel (top, 0), which may lie outside of the plane
  std::int64_t begin, end;   ///< rows, counted from the top, inside of the plane
  std::int64_t left, right;  ///< columns that may be read
  std::int64_t pixel, row;   ///< from one to the next

  SLUICE_INLINE Strip part(int k) const { return {first + k * kNativeLanes, begin, end, left, right, pixel, row}; }
};

template <class T>
SLUICE_INLINE Strip<T> strip_of(const WinogradShape& s, const WinogradChannels& side, const T* plane, std::int64_t top,
                                std::int64_t rows) {
  const std::int64_t around = side.around ? 1 : 0, above = -around - top, below = s.height + around - top;
  return {plane + top * side.row,
          above > 0 ? above : 0,
          below < rows ? below : rows,
          -around,
          s.width + around,
          side.pixel,
          side.row};
}

/// Fetches the memory that the next group's tiles are made from, or that this one's go to, between products: the
/// processor would stand still for it later. The pixels of tiles side by side are one piece, or nearly.
class Ahead {
 public:
  template <class T>
  SLUICE_INLINE Ahead(const WinogradShape& s, const WinogradChannels& side, const T* first, std::int64_t group,
                      std::int64_t first_row)
      : blocks_(group < s.groups() ? side.blocks : 0) {
    const Place place = place_of(s, group * kGroup);
    at_ = reinterpret_cast<const char*>(plane_of(side, first, place.image, 0) +
                                        (place.row * kTile + first_row) * side.row);
    step_ = (kLines<T> + kPoints - 1) / kPoints * kLine;
    // As NHWC the blocks are one piece too, here cut into as many.
    const bool one_piece = side.block == kLanes;
    block_ = one_piece ? step_ : side.block * static_cast<std::int64_t>(sizeof(T));
    advance_ = one_piece ? step_ * side.blocks : step_;
  }
  SLUICE_INLINE void fetch() {
    for (std::int64_t block = 0; block < blocks_; ++block) {
      for (std::int64_t i = 0; i < step_; i += kLine) __builtin_prefetch(at_ + block * block_ + i);
    }
    at_ += advance_;
  }

 private:
  static constexpr std::int64_t kLine = 64;
  template <class T>
  static constexpr std::int64_t kLines = kTile* kTile* kStep* static_cast<std::int64_t>(sizeof(T)) / kLine;
  const char* at_ = nullptr;
  std::int64_t block_ = 0, blocks_ = 0, step_ = 0, advance_ = 0;
};

/// The same of what a caller named, for one group and block.
class NamedAhead {
 public:
  SLUICE_INLINE NamedAhead(const WinogradShape& s, const WinogradAhead& named, std::int64_t group, std::int64_t block)
      : src_(named.src + block * named.src_block),
        dst_(named.dst + block * named.dst_block),
        named_(named),
        pixel_(group * kPixels),
        end_(s.images * s.height * s.width < pixel_ + kPixels ? s.images * s.height * s.width : pixel_ + kPixels) {}
  SLUICE_INLINE void fetch() {
    for (int i = 0; i < kStride && pixel_ < end_; ++i, ++pixel_) {
      __builtin_prefetch(src_ + pixel_ * named_.src_pixel, 0, 2);
      __builtin_prefetch(dst_ + pixel_ * named_.dst_pixel, 1, 2);
    }
  }

 private:
  static constexpr std::int64_t kPixels = kGroup * kTile * kTile;
  static constexpr int kStride = (kPixels + kPoints - 1) / kPoints;
  const char *src_, *dst_;
  const WinogradAhead& named_;
  std::int64_t pixel_, end_;
};

}  // namespace sluice::SLUICE_ISA::winograd
