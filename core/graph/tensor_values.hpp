// The numbers of a tensor one by one, whatever its type: sums of gradients, and what a result holds.
#pragma once

#include "core/graph/tensor.hpp"

namespace sluice {

/// sum += term; both have one layout and one floating type.
void add_into(const Tensor& sum, const Tensor& term);
/// No NaN and no infinity among them.
bool all_finite(const Tensor& tensor);
/// 0 where none is above, NaN where one is not finite.
double largest_value(const Tensor& tensor);

}  // namespace sluice
