// What layers check alike that take images and rows.
#pragma once

#include "core/base/error.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

/// Throws ShapeError unless the source is an image N x C x H x W or rows N x K.
inline void require_image_or_rows(const Shape& src) {
  if (src.rank() != 4 && src.rank() != 2)
    throw ShapeError("", concat("expected an image N x C x H x W or rows N x K, got ", to_string(src)));
}

}  // namespace sluice
