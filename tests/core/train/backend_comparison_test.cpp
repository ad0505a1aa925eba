// What a comparison of both backends says of layers that keep no decisions.
#include "core/train/backend_comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace sluice {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

std::string printed(const BackendComparison& comparison) {
  std::ostringstream out;
  print_comparison(out, comparison);
  return out.str();
}

TEST(BackendComparison, NamesLayersThatKeepNoDecisions) {
  BackendComparison comparison;
  EXPECT_THAT(printed(comparison), EndsWith("\ngates        none: both backends compute the same\n"));
  comparison.silent = {"gated"};
  EXPECT_THAT(printed(comparison), EndsWith("\ngates        no decisions to compare\n  gated: keeps no decisions\n"));
  comparison.layers = {{"other", 10, 2}};
  EXPECT_THAT(printed(comparison), EndsWith("\ngates        2 of 10 decided otherwise (2.0e-01)\n  other: 2 of 10\n"
                                            "  gated: keeps no decisions\n"));
  std::ostringstream json;
  print_json_comparison(json, comparison);
  EXPECT_THAT(json.str(), HasSubstr("\"silent\": [\n    \"gated\"\n  ]"));
}

}  // namespace
}  // namespace sluice
