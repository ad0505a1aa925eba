// Bytes against golden ones.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace sluice {

/// No byte is further than `most` from that of `golden`, in hexadecimal digits.
inline void expect_close(const std::vector<std::uint8_t>& bytes, const std::string& golden, int most) {
  ASSERT_EQ(2 * bytes.size(), golden.size());
  int worst = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int wanted = static_cast<int>(std::stoul(golden.substr(2 * i, 2), nullptr, 16));
    const int distance = std::abs(bytes[i] - wanted);
    if (distance > most) ADD_FAILURE() << "byte " << i << ": expected " << wanted << ", got " << +bytes[i];
    worst = std::max(worst, distance);
  }
  EXPECT_LE(worst, most);
}

/// The largest and the mean distance of two pictures' bytes.
struct Distance {
  int most = 0;
  double mean = 0;
};
inline Distance distance(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  Distance distance;
  EXPECT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const int each = std::abs(a[i] - b[i]);
    distance.most = std::max(distance.most, each);
    distance.mean += each / static_cast<double>(a.size());
  }
  return distance;
}

}  // namespace sluice
