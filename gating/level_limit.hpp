// A threshold folded into whole numbers.
#pragma once

namespace sluice {

/// The largest whole number n, from -2^24 to 2^24, for which n * unit, rounded to fp32, is not above the threshold: for
/// sums of levels within, of which 1 stands for `unit` > 0, sum * unit > threshold is sum > n. NaN, above which nothing
/// is, where one of both is NaN.
float level_limit(float threshold, float unit);

}  // namespace sluice
