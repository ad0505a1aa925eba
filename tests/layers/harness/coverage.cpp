#include "tests/layers/harness/coverage.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/layers/harness/layer_case.hpp"

namespace sluice {
namespace {

/// The cases of a suite that this program holds, as PrintTo prints them.
std::set<std::string> printed_cases(const std::string& suite_name) {
  std::set<std::string> cases;
  const std::string ending = "/" + suite_name;
  const ::testing::UnitTest& program = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < program.total_test_suite_count(); ++s) {
    const ::testing::TestSuite& suite = *program.GetTestSuite(s);
    const std::string name = suite.name();
    if (name.size() < ending.size() || name.substr(name.size() - ending.size()) != ending) continue;
    for (int t = 0; t < suite.total_test_count(); ++t) {
      if (suite.GetTestInfo(t)->value_param() != nullptr) cases.insert(suite.GetTestInfo(t)->value_param());
    }
  }
  return cases;
}

}  // namespace

std::vector<std::string> types_without_case(const std::vector<std::string>& types, const std::string& suite) {
  const std::set<std::string> cases = printed_cases(suite);
  std::vector<std::string> missing;
  for (const std::string& type : types) {
    const std::string prefix = printed(type, "");
    const auto at = cases.lower_bound(prefix);
    if (at == cases.end() || at->compare(0, prefix.size(), prefix) != 0) missing.push_back(type);
  }
  return missing;
}

}  // namespace sluice
