// Sources of an operation that say which channels are closed (core/graph/channel_factors.hpp).
#pragma once

#include "core/graph/channel_factors.hpp"
#include "core/graph/execution_plan.hpp"

namespace sluice {

/// An operation's layer, if it can leave out products with closed channels and this plan lets it; else null.
const SkipsChannels* skipping_layer(const ExecutionPlan& plan, const PlannedOperation& op);
/// The nodes whose results hold the factors of an operation: their tensors stand behind the sources of its own node, in
/// the order of ChannelFactors.
std::vector<int> factor_nodes(const ExecutionPlan& plan, const PlannedOperation& op);
ChannelFactors channel_factors(const ExecutionPlan& plan, const PlannedOperation& op);

}  // namespace sluice
