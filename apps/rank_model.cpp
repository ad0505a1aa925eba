#include "apps/rank_model.hpp"

#include <algorithm>

namespace sluice {

double predicted_step_ms(const StepTrace& trace, const LinkSpeed& link, std::int64_t ranks, bool overlap) {
  if (ranks == 1) return trace.step_ms;
  const auto others = static_cast<double>(ranks - 1);
  const auto seen = [&](double time) {  // nobody waits before backward ends
    if (time >= trace.backward_ms) return time;
    const auto poll = std::lower_bound(trace.polls_ms.begin(), trace.polls_ms.end(), time);
    return poll == trace.polls_ms.end() ? trace.backward_ms : *poll;
  };
  double link_free = 0, end = trace.backward_ms;
  for (std::size_t i = 0; i < trace.bytes.size(); ++i) {
    const double wire = others / static_cast<double>(ranks) * static_cast<double>(trace.bytes[i]) / link.bytes_per_ms;
    const double busy = wire + (others - 1) * link.message_ms, phase = busy + link.latency_ms;
    const double begin = std::max(overlap ? trace.ready_ms[i] : trace.backward_ms, link_free);
    link_free = begin + 2 * busy;
    end = std::max({end, seen(begin + phase) + phase, link_free});
  }
  return trace.step_ms + trace.work_ms + end - trace.backward_ms;
}

}  // namespace sluice
