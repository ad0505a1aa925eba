// Fails when a gated layer type lacks a case against a reference, or a semantic case.
#include "tests/layers/harness/coverage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "core/graph/registry.hpp"
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using ::testing::IsEmpty;

std::vector<std::string> gated_types() {
  Registry registry;
  register_layers(registry);
  const std::vector<std::string> others = registry.types();
  register_plugin(gating_plugin(), registry);
  const std::vector<std::string> all = registry.types();
  std::vector<std::string> gated;
  std::set_difference(all.begin(), all.end(), others.begin(), others.end(), std::back_inserter(gated));
  return gated;
}

TEST(GatedCoverage, EveryTypeIsComparedWithAReference) {
  ASSERT_FALSE(gated_types().empty());
  EXPECT_THAT(types_without_case(gated_types(), "LayerCases"), IsEmpty()) << "see tests/layers/harness/layer_case.hpp";
}

TEST(GatedCoverage, EveryTypeHasASemanticCase) {
  EXPECT_THAT(types_without_case(gated_types(), "SemanticCases"), IsEmpty())
      << "see tests/layers/harness/layer_case.hpp";
}

}  // namespace
}  // namespace sluice
