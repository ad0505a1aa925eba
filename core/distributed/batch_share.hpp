// The part of a batch that a process computes where several share it.
#pragma once

#include <cstdint>

namespace sluice {

class Communicator;

struct BatchShare {
  Communicator* ranks = nullptr;  ///< who have the other parts
  std::int64_t images = 0;        ///< of the whole batch

  /// What a mean over `here` images weighs in the mean over the whole batch.
  double weight(std::int64_t here) const { return static_cast<double>(here) / static_cast<double>(images); }
};

}  // namespace sluice
