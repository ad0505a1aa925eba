// The standard layers: one make function for each, and their registration.
#pragma once

#include <memory>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

class Registry;

/// Registers every standard layer. Called by each program and by tests, before any configuration is read.
void register_layers(Registry& registry);

std::unique_ptr<Layer> make_add(Keys& keys);
std::unique_ptr<Layer> make_average_pool(Keys& keys);
std::unique_ptr<Layer> make_batchnorm(Keys& keys);
std::unique_ptr<Layer> make_clip(Keys& keys);
std::unique_ptr<Layer> make_concat(Keys& keys);
std::unique_ptr<Layer> make_conv(Keys& keys);
std::unique_ptr<Layer> make_dropout(Keys& keys);
std::unique_ptr<Layer> make_flatten(Keys& keys);
std::unique_ptr<Layer> make_global_pool(Keys& keys);
std::unique_ptr<Layer> make_linear(Keys& keys);
std::unique_ptr<Layer> make_max_pool(Keys& keys);
std::unique_ptr<Layer> make_pact_relu(Keys& keys);
std::unique_ptr<Layer> make_pad_shortcut(Keys& keys);
std::unique_ptr<Layer> make_relu(Keys& keys);
std::unique_ptr<Layer> make_softmax_cross_entropy(Keys& keys);

/// Throws ShapeError unless a layer got `count` sources.
void require_sources(const std::vector<Shape>& src, std::size_t count);
/// Throws ShapeError unless the source is an image N x C x H x W.
void require_image(const Shape& src);

}  // namespace sluice
