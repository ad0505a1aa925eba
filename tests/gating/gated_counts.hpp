// How many gates a layer counts as open.
#pragma once

#include <gtest/gtest.h>

#include "tests/gating/gated_types.hpp"

namespace sluice {

/// AreTheReferences, for a LayerCase with one gated layer: its counts in training and inference, in both layouts, over
/// several passes. Instantiated by the programs.
class GatedCounts : public ::testing::TestWithParam<LayerCase> {};

}  // namespace sluice
