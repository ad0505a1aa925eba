// Layer types for tests only: one feeds any activation into a network as a parameter, so that its gradient can be
// seen; one feeds any upstream gradient into the backward pass; one has several results.
#pragma once

#include "core/graph/registry.hpp"

namespace sluice {

/// `test_source` (from = data; keys `shape`, without the batch, and `batch`): the result is its parameter `value`.
/// `test_loss` (keys `batch`): sum of its buffer `weights` times the source, so the source's gradient is `weights`.
/// `test_rotate` (key `angle`): of two images, with the results NAME and NAME:second.
void register_test_layers(Registry& registry);

void register_test_rotate(Registry& registry);

}  // namespace sluice
