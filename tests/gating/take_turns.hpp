// Times of two works that alternate in one process, for programs that compare kernels on a quiet machine.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "core/base/median.hpp"

namespace sluice {

inline double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Median times of two works that take turns, each run behind an untimed one of its own; small ones several times.
inline std::pair<double, double> take_turns(const std::function<void()>& a, const std::function<void()>& b,
                                            int repeats) {
  a();
  b();
  const double once = std::max(1e-7, std::min(seconds(a), seconds(b)));
  const int inner = static_cast<int>(std::clamp(300e-6 / once, 1.0, 100.0));
  const auto several = [inner](const std::function<void()>& work) {
    work();
    return seconds([&] {
             for (int i = 0; i < inner; ++i) work();
           }) /
           inner;
  };
  std::vector<double> times_a, times_b;
  for (int i = 0; i < repeats; ++i) {
    times_a.push_back(several(a));
    times_b.push_back(several(b));
  }
  return {median(times_a), median(times_b)};
}

}  // namespace sluice
