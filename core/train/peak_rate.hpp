// How fast this machine multiplies at best.
#pragma once

#include <string>
#include <vector>

#include "core/model/configured_network.hpp"

namespace sluice {

/// GFLOP/s of a matrix product large enough to be limited by arithmetic alone: the best of so many runs.
double measure_peak_gflops(Precision precision, int runs = 9);

/// Texts of warnings: where bf16 has a lower rate than fp32.
std::vector<std::string> advice_on_precision(double bf16_gflops, double fp32_gflops);
/// The same with both rates as measured, within half a second, where a network is to compute in bf16.
std::vector<std::string> advice_on_precision(Precision precision);

}  // namespace sluice
