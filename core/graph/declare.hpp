// A layer, and what it declares for its sources, checked: the mistakes that its author can make there are told where
// the network is built.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/layer.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// The layer of a registered type. Throws ShapeError where the type's own code fails.
std::unique_ptr<const Layer> make_layer(const Registry& registry, const std::string& type, Keys& keys);

/// Throws ShapeError where the sources, which are for a batch of one image, do not fit; and where the declarations
/// cannot be right: counts of costs and roles, names, the result's shape.
Declarations declare(const Layer& layer, const std::vector<Shape>& src);

}  // namespace sluice
