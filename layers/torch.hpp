// The standard layers in PyTorch, and what writers of other convolutions share with them.
#pragma once

#include "core/graph/torch_layer.hpp"

namespace sluice {

void register_torch_layers(TorchLayers& layers);

/// Of quantised layers (layers/torch_quantized.cpp).
void register_quantized_torch_layers(TorchLayers& layers);

/// Channels, kernel, stride, padding and dilation of a convolution, as nn.Conv2d has them.
TorchArguments torch_convolution(const PortableLayer& layer);
/// The same with its groups, and what QuantizedConv2d adds.
TorchArguments torch_quantized_convolution(const PortableLayer& layer);

/// straight_through(value, x): `value` with the gradient of x.
extern const TorchDefinition kTorchStraightThrough;
/// class QuantizedConv2d, with source_in_levels, weight_in_levels and product.
extern const TorchDefinition kTorchQuantizedConvolution;

}  // namespace sluice
