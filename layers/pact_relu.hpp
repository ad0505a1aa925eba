// Clipping at a bound that is a number in memory, for layers that do PACT's work on their way out.
#pragma once

#include "core/graph/tensor.hpp"

namespace sluice {

/// dst = min(max(src, 0), bound), element by element; a NaN goes through. Both are in fp32 or in bf16; dst may be src.
void clip_at(float bound, const Tensor& src, const Tensor& dst);

}  // namespace sluice
