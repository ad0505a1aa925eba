// The patch of a convolution whose tiles copy their source.
#pragma once

#include "core/graph/tensor.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/kernels/patch_shape.hpp"

namespace sluice {

/// For tensors in memory; all but the pitch.
PatchShape patch_shape(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst);

}  // namespace sluice
