// A layer type for tests whose work depends on its images, with the metrics that a plug-in would register beside it.
#pragma once

#include "core/graph/registry.hpp"

namespace sluice {

/// `test_gate`: dst = src where src > threshold of its channel, else 0; the gradient of src likewise, none for the
/// thresholds. Counts `open` and `total` elements. It claims the cost (keys `macs`, `conditional_macs`, `weight_bits`,
/// `activation_bits`, `first_bits`) of
/// - macs always, conditional_macs for the open share, or,
/// - with first_bits > 0, macs with the first bits of the activations always and their other bits for the open share.
/// Key `threshold`: what the thresholds start from. Metrics: `open_share` and `closed_share`.
void register_test_gate(Registry& registry);

}  // namespace sluice
