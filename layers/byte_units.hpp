// The order in which products of bytes take their units of four inputs.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// Units in the order of their work: pairs whose sums fit 16 bits for all outputs (ByteWeights), then the others. Sets
/// the number of pairs. `levels`: of the outputs, `inputs` each, -127 to 127; a unit is four inputs.
std::vector<std::size_t> order_units(const float* levels, std::int64_t outputs, std::int64_t inputs,
                                     std::int32_t& pairs);

}  // namespace sluice
