// What convolutions share whose tiles copy their source to a patch (layers/kernels/patch.hpp).
#pragma once

#include <cstdint>

namespace sluice {

/// Sizes that all tiles have in common. A patch consists of units; its pixels lie `pitch` of them apart.
struct PatchShape {
  std::int64_t src_channels = 0, src_height = 0, src_width = 0, src_block = 0;
  std::int64_t dst_channels = 0, dst_height = 0, dst_width = 0, dst_block = 0;
  std::int64_t kernel = 0, stride = 0, dilation = 0, pad = 0;
  std::int64_t columns = 0;  ///< pixels in a row of the patch
  std::int64_t pitch = 0;

  std::int64_t row_pitch() const { return columns * pitch; }
  /// Rows of the source that some rows of the result see.
  std::int64_t src_rows(std::int64_t rows) const { return (rows - 1) * stride + dilation * (kernel - 1) + 1; }
};

}  // namespace sluice
