// Fails when a registered layer type lacks a case against a reference, or a semantic case.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "layers/layers.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

/// The cases of a suite that this program holds, as PrintTo prints them.
std::set<std::string> printed_cases(const std::string& suite_name) {
  std::set<std::string> cases;
  const ::testing::UnitTest& program = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < program.total_test_suite_count(); ++s) {
    const ::testing::TestSuite& suite = *program.GetTestSuite(s);
    const std::string name = suite.name();
    if (name.size() < suite_name.size() || name.substr(name.size() - suite_name.size()) != suite_name) continue;
    for (int t = 0; t < suite.total_test_count(); ++t) {
      if (suite.GetTestInfo(t)->value_param() != nullptr) cases.insert(suite.GetTestInfo(t)->value_param());
    }
  }
  return cases;
}

bool has_case_of(const std::set<std::string>& cases, const std::string& type) {
  const std::string prefix = printed(type, "");
  const auto at = cases.lower_bound(prefix);
  return at != cases.end() && at->compare(0, prefix.size(), prefix) == 0;
}

void expect_covered(const std::string& suite) {
  Registry registry;
  register_layers(registry);
  const std::set<std::string> cases = printed_cases(suite);
  ASSERT_FALSE(registry.types().empty());
  for (const std::string& type : registry.types()) {
    EXPECT_TRUE(has_case_of(cases, type))
        << "layer type '" << type << "' has no case in " << suite << "; see tests/layers/harness/layer_case.hpp";
  }
}

TEST(Coverage, EveryTypeIsComparedWithAReference) {
  expect_covered("/LayerCases");
}

TEST(Coverage, EveryTypeHasASemanticCase) {
  expect_covered("/SemanticCases");
}

TEST(Coverage, TheGateSeesAMissingType) {
  EXPECT_FALSE(has_case_of(printed_cases("/LayerCases"), "con"));
  EXPECT_FALSE(has_case_of(printed_cases("/LayerCases"), "no_such_layer"));
  EXPECT_FALSE(has_case_of(printed_cases("/NoSuchSuite"), "conv"));
}

}  // namespace
}  // namespace sluice
