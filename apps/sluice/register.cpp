// All that a Sluice knows by itself.
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"
#include "sluice/layer.hpp"

namespace sluice {

void register_all(Registry& registry) {
  register_layers(registry);
  register_plugin(gating_plugin(), registry);
}

}  // namespace sluice
