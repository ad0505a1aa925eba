// A small model of a step that several ranks share: when buckets of gradients are ready, how fast they travel, and what
// that takes of the thread that computes.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// A step of one rank without any reduction, measured while the others take one too. It ends when all have.
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
  double bytes_per_ms = 0;  ///< that a rank sends while it does nothing else
  // With a thread that computes, and asks in between:
  int asks = 1;                 ///< until an exchange is there, the one that follows its start included
  double busy_ms_per_byte = 0;  ///< of what a rank sends: what is taken from computing
};

/// The same step with so many neighbouring buckets joined to one each time.
StepTrace with_joined_buckets(const StepTrace& trace, std::int64_t count);

/// Milliseconds of a step of so many ranks, each with as many images as the trace has. A bucket of b bytes takes two
/// phases, the exchange and the gather, of
///   latency + (ranks - 2) message + (ranks - 1) / ranks * b / speed
/// each, one after the other on the link. During backward a phase begins and ends when the reducer asks, after so many
/// asks at the earliest; what it takes from computing makes backward longer. Behind backward the rank waits for what is
/// left. The work is added.
double predicted_step_ms(const StepTrace& trace, const LinkSpeed& link, std::int64_t ranks, bool overlap = true);

}  // namespace sluice
