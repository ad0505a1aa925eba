#include "gating/level_limit.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {

float level_limit(float threshold, float unit) {
  constexpr double kMost = 1 << 24;
  const auto is_above = [&](double whole) { return static_cast<float>(whole) * unit > threshold; };
  double n = std::clamp(std::floor(static_cast<double>(threshold) / static_cast<double>(unit)), -kMost, kMost);
  // Products grow with n; their rounding puts the guess off by few.
  while (n > -kMost && is_above(n)) n -= 1;
  while (n < kMost && !is_above(n + 1)) n += 1;
  return static_cast<float>(n);
}

}  // namespace sluice
