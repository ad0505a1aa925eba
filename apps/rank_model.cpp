#include "apps/rank_model.hpp"

#include <algorithm>

namespace sluice {
namespace {

/// The buckets of a step, moved on as GradientReducer does it.
class Reduction {
 public:
  Reduction(const StepTrace& trace, const LinkSpeed& link, std::int64_t ranks)
      : trace_(trace),
        link_(link),
        sent_(static_cast<double>(ranks - 1) / static_cast<double>(ranks)),
        messages_ms_(static_cast<double>(ranks - 2) * link.message_ms),
        buckets_(trace.bytes.size()) {}

  /// Since backward began.
  double now_ms() const { return now_; }
  void compute(double ms) { now_ += ms; }

  /// Between two operations, where `computed` ms of backward are done.
  void ask(double computed) {
    while (started_ < buckets_.size() && trace_.ready_ms[started_] <= computed) now_ += start(started_++);
    ask_for(summed_, started_);
    while (summed_ < started_ && is_seen(summed_)) now_ += start(summed_++);
    ask_for(taken_, summed_);
    while (taken_ < summed_ && is_seen(taken_)) ++taken_;
  }

  /// Behind backward.
  void finish() {
    for (std::size_t i = taken_; i < started_; ++i) begin_late(i);
    while (started_ < buckets_.size()) start(started_++);
    while (summed_ < buckets_.size()) {
      wait(summed_);
      start(summed_++);
    }
    while (taken_ < buckets_.size()) wait(taken_++);
  }

 private:
  struct Bucket {
    double there = 0;  ///< the end of its phase
    int asks = 0;      ///< that it needs until it can be there
  };

  double bytes(std::size_t i) const { return sent_ * static_cast<double>(trace_.bytes[i]); }
  /// Starts the next phase of a bucket. Returns what that takes from computing.
  double start(std::size_t i) {
    link_free_ = std::max(now_, link_free_) + bytes(i) / link_.bytes_per_ms + messages_ms_;
    buckets_[i] = {link_free_ + link_.latency_ms, link_.asks};
    return messages_ms_;
  }
  void ask_for(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      if (--buckets_[i].asks == 0) now_ += bytes(i) * link_.busy_ms_per_byte;
  }
  bool is_seen(std::size_t i) const { return buckets_[i].asks <= 0 && buckets_[i].there <= now_; }
  /// Nobody asked after it often enough for its bytes to be sent.
  void begin_late(std::size_t i) {
    if (buckets_[i].asks > 0 && buckets_[i].there <= now_) start(i);
  }
  void wait(std::size_t i) { now_ = std::max(now_, buckets_[i].there); }

  const StepTrace& trace_;
  const LinkSpeed& link_;
  const double sent_, messages_ms_;
  std::vector<Bucket> buckets_;
  std::size_t started_ = 0, summed_ = 0, taken_ = 0;
  double now_ = 0, link_free_ = 0;
};

}  // namespace

StepTrace with_joined_buckets(const StepTrace& trace, std::int64_t count) {
  StepTrace joined = trace;
  joined.ready_ms.clear();
  joined.bytes.clear();
  for (std::size_t i = 0; i < trace.bytes.size(); ++i) {
    if (i % static_cast<std::size_t>(count) == 0) {
      joined.ready_ms.push_back(0);
      joined.bytes.push_back(0);
    }
    joined.ready_ms.back() = std::max(joined.ready_ms.back(), trace.ready_ms[i]);
    joined.bytes.back() += trace.bytes[i];
  }
  return joined;
}

double predicted_step_ms(const StepTrace& trace, const LinkSpeed& link, std::int64_t ranks, bool overlap) {
  if (ranks == 1) return trace.step_ms;
  Reduction reduction(trace, link, ranks);
  double computed = 0;
  for (std::size_t i = 0; overlap && i < trace.polls_ms.size(); ++i) {
    reduction.compute(trace.polls_ms[i] - computed);
    computed = trace.polls_ms[i];
    reduction.ask(computed);
  }
  reduction.compute(trace.backward_ms - computed);
  reduction.finish();
  return trace.step_ms + trace.work_ms + reduction.now_ms() - trace.backward_ms;
}

}  // namespace sluice
