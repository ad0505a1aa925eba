// The standard layers: their registration, and what layers check alike.
#pragma once

#include <memory>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

class Registry;

/// Registers every standard layer. Called by each program and by tests, before any configuration is read.
void register_layers(Registry& registry);

/// Throws ShapeError unless a layer got `count` sources.
void require_sources(const std::vector<Shape>& src, std::size_t count);
/// Throws ShapeError unless the source is an image N x C x H x W.
void require_image(const Shape& src);

}  // namespace sluice
