// What a layer declares for its sources, checked: the mistakes that its author can make there are told where the
// network is built.
#pragma once

#include <vector>

#include "core/graph/layer.hpp"

namespace sluice {

/// Throws ShapeError where the sources, which are for a batch of one image, do not fit; and where the declarations
/// cannot be right: counts of costs and roles, names, the result's shape.
Declarations declare(const Layer& layer, const std::vector<Shape>& src);

}  // namespace sluice
