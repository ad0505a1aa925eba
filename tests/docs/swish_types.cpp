// The types of the test program: the standard layers, and the plug-in of tests/plugin as a part of the program.
#include "core/plugin/load.hpp"
#include "layers/layers.hpp"
#include "tests/layers/harness/layer_case.hpp"

namespace sluice {

void register_case_types(Registry& registry) {
  register_layers(registry);
  register_plugin(*sluice_plugin(), registry);
}

}  // namespace sluice
