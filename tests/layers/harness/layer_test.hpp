// The suites that every layer type passes through.
//
// LayerCases, for each LayerCase:
//   ReferenceGradients  the reference's own backward against central differences in double, but for surrogates
//   Training            result, loss, gradients of every source and parameter, and buffers after the step, against the
//                       reference; in every layout, with and without fusion and Winograd, with 1 and 2 threads; after
//                       passes over other values, and twice to the same bits
//   Inference           the result against the reference, and that buffers stay as they are
//   BFloat16            the same in bf16, both modes, with the reference rounding what the executor stores in bf16
// SemanticCases, for each SemanticCase: results and gradients on values small enough to check by hand.
#pragma once

#include <gtest/gtest.h>

#include "tests/layers/harness/layer_case.hpp"

namespace sluice {

class LayerCases : public ::testing::TestWithParam<LayerCase> {};
class SemanticCases : public ::testing::TestWithParam<SemanticCase> {};

/// The last argument of INSTANTIATE_TEST_SUITE_P.
inline constexpr auto case_name = [](const auto& info) { return info.param.type + "__" + info.param.name; };

}  // namespace sluice
