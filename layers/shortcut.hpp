// The composite `shortcut`.
#pragma once

#include <vector>

#include "core/config/config.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

/// Nothing where the source already has the wanted shape; else `pad` (pad_shortcut), or `0` (convolution) and `1`
/// (batchnorm).
std::vector<Section> expand_shortcut(Keys& keys, const std::vector<Shape>& src);

}  // namespace sluice
