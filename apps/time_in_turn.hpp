// Several networks timed side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "apps/open_network.hpp"

namespace sluice {

class Progress;

struct NetworkTime {
  double milliseconds = 0;  ///< the median, for a batch
  std::int64_t batch = 0;
  double spread = 0;  ///< quartile_spread
};

/// A network at work: so many batches of so many images.
struct NetworkRun {
  std::function<void()> run;
  int forwards = 1;
  std::int64_t batch = 0;
};

/// They take turns, so that a drift of the processor's clock meets all alike.
std::vector<NetworkTime> time_in_turn(const std::vector<NetworkRun>& runs, Progress* progress = nullptr);

/// Each as sluice-deploy would run it: by the plan of a deployed file, else every layer by its fastest kernel on images
/// of its set.
std::vector<NetworkTime> time_in_turn(const std::vector<OpenNetwork*>& networks, Progress& progress);

}  // namespace sluice
