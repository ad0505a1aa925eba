// A dense convolution of inference whose weights and source are rounded to bytes.
//
//   src ~ step * round(src / step), 0 to 127 steps of the measured range / 127
//   W[o] ~ step[o] * round(W[o] / step[o]), -127 to 127 steps of max |W[o]| / 127
// Sums of such products are exact. A source in bytes is such levels already.
#pragma once

#include "layers/convolution.hpp"

namespace sluice {

/// The step of some weights: that of their largest magnitude; 1 where all are as good as 0; NaN where one is NaN.
float byte_step(const float* weights, std::int64_t count);
/// The level of a weight, -127 to 127; 0 where the step is NaN.
float byte_level(float weight, float step);

/// Parameter 0 is the weights, O x I/groups x KH x KW; parameter 1 the bias, if there is one. Takes the post-ops that
/// conv_accepts lets through. Null where no range was measured, the source may hold numbers below 0, or oneDNN has no
/// fast kernel; then nothing is booked either. Else its kernel's name goes to `kernel`.
std::unique_ptr<Op> make_byte_convolution(const OpRequest& request, const ConvGeometry& geometry, bool bias,
                                          OpNeeds& needs, std::string& kernel);

}  // namespace sluice
