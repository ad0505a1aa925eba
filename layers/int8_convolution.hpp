// A dense convolution of inference whose weights and source are rounded to int8.
//
//   src ~ scale * round(src / scale), levels 0 to 127, with scale = the measured range / 127
//   W[o] ~ scale[o] * round(W[o] / scale[o]), levels -127 to 127, with scale[o] = max |W[o]| / 127
// Sums of such products are exact. A source in int8 is such levels already.
#pragma once

#include "core/base/cpu.hpp"
#include "core/graph/channel_factors.hpp"
#include "layers/convolution.hpp"

namespace sluice {

/// The scale of some weights: that of their largest magnitude; 1 where all are as good as 0; NaN where one is NaN.
float int8_scale(const float* weights, std::int64_t count);
/// The level of a weight, -127 to 127; 0 where the scale is NaN.
float int8_level(float weight, float scale);

/// Parameter 0 is the weights, O x I/groups x KH x KW; parameter 1 the bias, if there is one. Takes the post-ops that
/// conv_accepts lets through. Null where no range was measured, the source may hold numbers below 0, or oneDNN has no
/// fast kernel; then nothing is booked either. Else its kernel's name goes to `kernel`.
std::unique_ptr<Op> make_int8_convolution(const OpRequest& request, const ConvGeometry& geometry, bool bias,
                                          OpNeeds& needs, std::string& kernel);

/// The same by kernels of ours: of filters of one pixel (layers/int8_product.hpp), or of any, between channels that
/// come in sixteens (layers/int8_open_convolution.hpp).
std::unique_ptr<Op> make_int8_product(const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                      std::string& kernel, Isa isa = cpu_isa());

/// The same over open channels alone, for any filters. Where outputs are closed they
/// are multiplied by their factors behind all post-ops.
std::unique_ptr<Op> make_int8_open_channels(const OpRequest& request, const ChannelFactors& factors,
                                            const ConvGeometry& geometry, bool bias, OpNeeds& needs,
                                            std::string& kernel, Isa isa = cpu_isa());

}  // namespace sluice
