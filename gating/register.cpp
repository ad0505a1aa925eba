// The list of what the plug-in brings.
#include "core/graph/registry.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

void register_types(Registry& registry) {
  registry.add_layer("cg_conv", "channel-gated convolution: computes the rest of an output where its base path says so",
                     make_cg_conv);
  registry.add_auxiliary_loss("gating_loss", "pulls thresholds towards a target: the higher, the more is skipped",
                              make_gating_loss);
}

}  // namespace

const Plugin& gating_plugin() {
  return *sluice_plugin();
}

}  // namespace sluice

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin =
      sluice::describe_plugin("gating", "channel gating and precision gating", sluice::register_types);
  return &kPlugin;
}
