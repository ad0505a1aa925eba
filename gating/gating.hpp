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

/// When training is over: a warning where the gating loss pulled thresholds less than half of the way to its target,
/// with the penalty, or the length, that would have.
std::vector<std::string> advice_on_thresholds(const Network& network);

}  // namespace sluice
