// The middle of measured values.
#pragma once

#include <algorithm>
#include <vector>

namespace sluice {

/// Of an even number of values the mean of the two in the middle. There is one at least.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

}  // namespace sluice
