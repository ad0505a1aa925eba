// The middle of measured values, and how far they lie apart.
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

/// From the lower quartile to the upper one, as a share of the median; 0 where that is 0. There is one value at least.
inline double quartile_spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t last = values.size() - 1, quarter = last / 4;
  const double middle = median(values);
  return middle > 0 ? (values[last - quarter] - values[quarter]) / middle : 0;
}

}  // namespace sluice
