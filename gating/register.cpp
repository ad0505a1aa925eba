// The list of what the plug-in brings.
#include "core/graph/registry.hpp"
#include "gating/gate_counts.hpp"
#include "gating/gating.hpp"
#include "gating/portable.hpp"

namespace sluice {
namespace {

void register_types(Registry& registry) {
  registry.add_layer("cg_conv", "channel-gated convolution: computes the rest of an output where its base path says so",
                     make_cg_conv);
  registry.add_layer("pg_conv",
                     "precision-gated convolution: multiplies the low bits of its source where the high ones say so",
                     make_pg_conv);
  registry.add_layer("channel_decision",
                     "a factor for each channel of an image, from its saliency: 0 where a gate closes the channel",
                     make_channel_decision);
  registry.add_composite("channel_gate",
                         "closes whole channels of an image: pooled source, linear layer, decision, factor",
                         expand_channel_gate);
  register_gated_translators(registry);
  registry.add_dense_type("cg_conv", "conv");
  registry.add_dense_type("pg_conv", "quantized_conv");
  registry.add_auxiliary_loss("gating_loss", "makes gates close: pulls thresholds, or the network's cost, to a target",
                              make_gating_loss);
  // The published module normalises with a BatchNorm2d named bn.
  registry.add_torch_name("gate_running_mean", "bn.running_mean");
  registry.add_torch_name("gate_running_var", "bn.running_var");
  registry.add_metric("gate_density", "share of gated outputs whose gate is open", "", open_gates);
  registry.add_complement("sparsity", "share of gated outputs whose gate is closed", "gate_density");
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
