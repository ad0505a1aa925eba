// The time that a scope takes.
#pragma once

#include <chrono>

namespace sluice {

/// Adds the milliseconds of its scope to a counter, when there is one.
class Stopwatch {
 public:
  explicit Stopwatch(double* milliseconds) : milliseconds_(milliseconds) {
    if (milliseconds_ != nullptr) start_ = Clock::now();
  }
  ~Stopwatch() {
    if (milliseconds_ != nullptr)
      *milliseconds_ += std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double* milliseconds_;
  Clock::time_point start_;
};

}  // namespace sluice
