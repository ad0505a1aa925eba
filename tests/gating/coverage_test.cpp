// Fails when a gated layer type lacks a case against a reference, or a semantic case.
#include "tests/layers/harness/coverage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/registry.hpp"
#include "core/plugin/load.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

using ::testing::IsEmpty;

std::vector<std::string> gated_types() {
  Registry registry;
  register_plugin(gating_plugin(), registry);
  return registry.types();
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
