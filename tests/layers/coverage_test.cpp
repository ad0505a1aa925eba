// Fails when a standard layer type lacks a case against a reference, or a semantic case.
#include "tests/layers/harness/coverage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/graph/registry.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> standard_types() {
  Registry registry;
  register_layers(registry);
  return registry.types();
}

TEST(Coverage, EveryTypeIsComparedWithAReference) {
  ASSERT_FALSE(standard_types().empty());
  EXPECT_THAT(types_without_case(standard_types(), "LayerCases"), IsEmpty())
      << "see tests/layers/harness/layer_case.hpp";
}

TEST(Coverage, EveryTypeHasASemanticCase) {
  EXPECT_THAT(types_without_case(standard_types(), "SemanticCases"), IsEmpty())
      << "see tests/layers/harness/layer_case.hpp";
}

TEST(Coverage, TheGateSeesAMissingType) {
  EXPECT_THAT(types_without_case({"con", "conv", "no_such_layer"}, "LayerCases"), ElementsAre("con", "no_such_layer"));
  EXPECT_THAT(types_without_case({"conv"}, "NoSuchSuite"), ElementsAre("conv"));
}

}  // namespace
}  // namespace sluice
