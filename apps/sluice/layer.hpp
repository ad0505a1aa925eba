// Write layers, metrics and losses of your own: what a plug-in includes. docs/adding-a-layer.md.
#pragma once

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/portable.hpp"
#include "core/graph/registry.hpp"
#include "core/plugin/plugin.hpp"
#include "layers/elementwise.hpp"
#include "layers/layers.hpp"

namespace sluice {

/// Registers the standard layers and the plug-ins that are part of Sluice.
void register_all(Registry& registry);

}  // namespace sluice
