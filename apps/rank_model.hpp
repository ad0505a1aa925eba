// A small model of a step that several ranks share: when buckets of gradients are ready, and how fast they travel.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// A step of one rank without any reduction, measured.
struct StepTrace {
  double step_ms = 0;
  double backward_ms = 0;
  std::vector<double> polls_ms;     ///< since backward began, ascending: when the reducer may work
  std::vector<double> ready_ms;     ///< likewise, of each bucket in the order in which they are sent: when it is final
  std::vector<std::int64_t> bytes;  ///< of each bucket
  double work_ms = 0;               ///< of a step, to pack, add up and unpack all buckets
};

/// The connection of a rank with the others, measured.
struct LinkSpeed {
  double latency_ms = 0;    ///< of a small exchange
  double message_ms = 0;    ///< for each message more
  double bytes_per_ms = 0;  ///< that a rank sends
};

/// Milliseconds of a step of so many ranks, each with as many images as the trace has. A bucket of b bytes takes two
/// phases of
///   latency + (ranks - 2) message + (ranks - 1) / ranks * b / speed;
/// a phase's end is seen at the next poll. Buckets take turns on the link. What lasts beyond backward is added, and the
/// work.
double predicted_step_ms(const StepTrace& trace, const LinkSpeed& link, std::int64_t ranks, bool overlap = true);

}  // namespace sluice
