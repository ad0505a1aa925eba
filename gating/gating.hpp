// Gated layers: a plug-in that comes with Sluice.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config/keys.hpp"
#include "core/graph/auxiliary_loss.hpp"
#include "core/graph/layer.hpp"
#include "core/plugin/plugin.hpp"

namespace sluice {

/// The name and the group of the parameter by which a gated layer decides.
constexpr const char* kThreshold = "threshold";

/// For register_plugin: every gated layer and the gating loss.
const Plugin& gating_plugin();

std::unique_ptr<Layer> make_cg_conv(Keys& keys);
std::unique_ptr<Layer> make_pg_conv(Keys& keys);
std::unique_ptr<Layer> make_channel_decision(Keys& keys);
std::vector<Section> expand_channel_gate(Keys& keys, const std::vector<Shape>& src);
std::unique_ptr<AuxiliaryLoss> make_gating_loss(Keys& keys);

/// Before a training of so many epochs: a warning where the gating loss has not come to its target when they end.
std::vector<std::string> advice_on_ramp(const Network& network, double epochs);

/// When training is over (`last`: of its last evaluation): a warning where the gating loss pulled thresholds less than
/// half of the way to its target, or the network costs more than 2 % more or less than it was to, with the penalty, or
/// the length, that would have done it.
std::vector<std::string> advice_on_target(const Network& network, const AuxiliaryStep& last);

}  // namespace sluice
