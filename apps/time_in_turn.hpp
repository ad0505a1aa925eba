// Several networks timed side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/open_network.hpp"

namespace sluice {

struct NetworkTime {
  double milliseconds = 0;  ///< the median, for a batch
  std::int64_t batch = 0;
};

/// Each as sluice-deploy would run it: by the plan of a deployed file, else every layer by its fastest kernel on images
/// of its set. The networks take turns, so that a drift of the processor's clock meets all alike. Throws Error(kData)
/// where a set has not one batch.
std::vector<NetworkTime> time_in_turn(const std::vector<OpenNetwork*>& networks);

}  // namespace sluice
