// The standard layers as standard operators, and what translators of other convolutions share with them.
#pragma once

#include <string>

#include "core/graph/portable.hpp"

namespace sluice {

/// Registers the translators of every standard layer.
void register_translators(Registry& registry);

/// Attributes of a Conv like the layer, with so many groups.
PortableAttributes conv_attributes(const PortableLayer& layer, std::int64_t groups);

/// A 1 x C x 1 x 1 constant, which goes with images.
std::string by_channel(PortableGraph& graph, const std::string& name, std::vector<float> values);

/// Some of a layer's weights, O x ..., as a value; in int8 where it multiplies them: each output's with a scale
/// of their own (`scales`; layers/int8_convolution.hpp).
std::string portable_weights(const PortableLayer& layer, PortableGraph& graph, const std::string& name,
                             const Shape& shape, const std::vector<float>& weights, const std::vector<float>& scales);
/// By output, the scale of the layer's `weight` in int8; empty where it stays in floats.
std::vector<float> weight_scales(const PortableLayer& layer);

/// Batch normalisation with these tensors of the layer; without `weight` its scale is 1 and its shift 0.
std::string add_normalization(const PortableLayer& layer, PortableGraph& graph, const std::string& name,
                              const std::string& src, const char* weight, const char* bias, const char* mean,
                              const char* variance);

/// Source 0 with its channels shuffled in so many groups (layers/channel_shuffle.cpp).
std::string add_shuffle(const PortableLayer& layer, PortableGraph& graph, const std::string& name, std::int64_t groups);

/// Levels of a quantiser (layers/quantizer.hpp) as floats, and what one of them stands for, a scalar.
struct PortableLevels {
  std::string levels, unit;
};

/// Source 0 and `weight` of a quantised layer. As numbers, or as whole levels, whose products add up exactly.
std::string quantized_source(const PortableLayer& layer, PortableGraph& graph);
std::string quantized_weights(const PortableLayer& layer, PortableGraph& graph);
PortableLevels source_levels(const PortableLayer& layer, PortableGraph& graph);
PortableLevels weight_levels(const PortableLayer& layer, PortableGraph& graph);

}  // namespace sluice
