// A convolution in inference before or behind a layer that closes channels of an image.
#pragma once

#include <functional>
#include <memory>

#include "core/graph/channel_factors.hpp"
#include "layers/conv_geometry.hpp"

namespace sluice {

/// Of a layer whose parameter 0 is the weights, and parameter 1 the bias, if there is one: as `make_dense` makes it,
/// multiplied by the factors of its outputs if there are such, or over open channels alone, where there are kernels for
/// that. Takes the post-ops that conv_accepts lets through.
std::unique_ptr<Op> make_open_channels(const OpRequest& request, const ChannelFactors& factors,
                                       const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                       const std::function<std::unique_ptr<Op>()>& make_dense);

}  // namespace sluice
