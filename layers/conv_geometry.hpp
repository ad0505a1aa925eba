// The sizes of a convolution, and the keys that give them.
#pragma once

#include <cstdint>

#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

/// Sizes of a convolution. src: N x I x H x W, weights: O x I/groups x KH x KW, dst: N x O x OH x OW with
/// OH = (H + 2 pad - dilation (KH - 1) - 1) / stride + 1.
struct ConvGeometry {
  std::int64_t channels = 0;  ///< O
  std::int64_t kernel = 0;
  std::int64_t stride = 1;
  std::int64_t pad = 0;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;

  void describe(Keys& keys);
  void describe(Attributes& attributes) const;
  /// Throws ShapeError where the source does not fit.
  Shape dst_shape(const Shape& src) const;
  Shape weights_shape(const Shape& src) const { return {channels, src[kC] / groups, kernel, kernel}; }
  std::int64_t macs(const Shape& src) const;  ///< for one image
};

}  // namespace sluice
