// A convolution in inference before or behind a layer that closes channels of an image.
#pragma once

#include <vector>

#include "core/graph/channel_factors.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/named_ways.hpp"

namespace sluice {

/// Of a layer whose parameter 0 is the weights, and parameter 1 the bias, if there is one: the ways that compute
/// everything, multiplied by the factors of its outputs if there are such; and behind them those over open channels
/// alone. Takes the post-ops that conv_accepts lets through. Where there are factors of outputs the result is floats.
std::vector<NamedWay> open_channel_ways(const OpRequest& request, const ChannelFactors& factors,
                                        const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                        std::vector<NamedWay> dense);

}  // namespace sluice
