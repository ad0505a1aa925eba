// The layer `test_gate` and its metrics as a plug-in, for tests of the programs.
#include "core/plugin/plugin.hpp"
#include "tests/layers/harness/test_gate.hpp"

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin =
      sluice::describe_plugin("gate", "a layer whose work depends on its images", sluice::register_test_gate);
  return &kPlugin;
}
