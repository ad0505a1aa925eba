#include "apps/rank_link.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/buffer.hpp"
#include "core/base/median.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {
namespace {

constexpr int kRounds = 9;
constexpr std::size_t kFew = 8;  // buckets on their way together

/// Exchanges of so many bytes with each rank, which are on their way together.
class Exchanges {
 public:
  Exchanges(Communicator& ranks, std::int64_t bytes, std::size_t count)
      : ranks_(ranks),
        bytes_(bytes),
        pieces_(bytes * ranks.size() * static_cast<std::int64_t>(count)),
        received_(bytes * ranks.size() * static_cast<std::int64_t>(count)),
        transfers_(count) {}

  void start() {
    for (std::size_t i = 0; i < transfers_.size(); ++i) {
      const std::int64_t at = bytes_ * ranks_.size() * static_cast<std::int64_t>(i);
      transfers_[i] = ranks_.start_exchange(pieces_.at(at), received_.at(at), bytes_);
    }
  }
  void wait() {
    for (const Communicator::Transfer transfer : transfers_) ranks_.wait(transfer);
  }
  /// Whether all are there; asks for each of them.
  bool arrived() {
    bool there = true;
    for (const Communicator::Transfer transfer : transfers_) there = ranks_.arrived(transfer) && there;
    return there;
  }
  /// By a rank.
  double bytes_sent() const {
    return static_cast<double>(bytes_ * (ranks_.size() - 1) * static_cast<std::int64_t>(transfers_.size()));
  }

 private:
  Communicator& ranks_;
  const std::int64_t bytes_;
  const Buffer pieces_, received_;
  std::vector<Communicator::Transfer> transfers_;
};

/// Median milliseconds of exchanges that a rank waits for.
double exchange_ms(Communicator& ranks, std::int64_t bytes, std::size_t count) {
  Exchanges exchanges(ranks, bytes, count);
  std::vector<double> times;
  for (int round = -1; round < kRounds; ++round) {
    begin_together(ranks);
    const double begin = now_ms();
    exchanges.start();
    exchanges.wait();
    if (round >= 0) times.push_back(now_ms() - begin);
  }
  return median(times);
}

/// What a layer does, in small: reads and writes memory that fits into a cache, for about so long.
class Work {
 public:
  explicit Work(double ms) {
    constexpr int kTried = 16;
    const double begin = now_ms();
    for (passes_ = 0; passes_ < kTried; ++passes_) pass();
    const double each = std::max(1e-3, (now_ms() - begin) / kTried);
    passes_ = static_cast<int>(std::ceil(std::clamp(ms, each, 50.0) / each));
  }
  void run() {
    for (int i = 0; i < passes_; ++i) pass();
  }

 private:
  void pass() {
    auto* const values = memory_.as<float>();
    for (std::int64_t i = 0; i < kValues; ++i) values[i] = 0.5f * values[i] + 1.0f;
  }

  static constexpr std::int64_t kValues = 1 << 17;
  Buffer memory_ = Buffer(kValues * 4);
  int passes_ = 0;
};

/// Exchanges of a thread that works and asks in between, against the same work alone.
void measure_asking(Communicator& ranks, std::int64_t bytes, LinkSpeed& link) {
  Exchanges exchanges(ranks, bytes, kFew);
  Work work(2 * exchanges.bytes_sent() / link.bytes_per_ms);  // so that none is still on the wire when it is asked for
  std::vector<double> asks, busy_ms;
  for (int round = -1; round < kRounds; ++round) {
    begin_together(ranks);
    const double begin = now_ms();
    exchanges.start();
    int asked = 1;
    for (; !exchanges.arrived(); ++asked) work.run();
    const double end = now_ms();
    begin_together(ranks);
    const double begin_alone = now_ms();
    for (int i = 1; i < asked; ++i) work.run();
    if (round < 0) continue;
    busy_ms.push_back(end - begin - (now_ms() - begin_alone));
    asks.push_back(asked);
  }
  link.asks = static_cast<int>(median(asks));
  link.busy_ms_per_byte = std::max(0.0, median(busy_ms)) / exchanges.bytes_sent();
}

}  // namespace

double now_ms() {
  return 1e3 * TimeBudget::steady_seconds();
}

void begin_together(Communicator& ranks) {
  double nothing = 0;
  ranks.sum(&nothing, 1);
}

LinkSpeed measure_link(Communicator& ranks, std::int64_t bucket_bytes) {
  constexpr std::int64_t kSmall = 8, kLarge = 1 << 20;
  constexpr std::size_t kMany = 32;
  const auto others = static_cast<double>(ranks.size() - 1);
  const auto piece_of = [&](std::int64_t bytes) { return std::max<std::int64_t>(1, bytes / ranks.size()); };
  const std::int64_t large_piece = piece_of(std::max(bucket_bytes, kLarge));
  LinkSpeed link;
  link.latency_ms = exchange_ms(ranks, kSmall, 1);
  link.message_ms = std::max(0.0, exchange_ms(ranks, kSmall, kMany) - link.latency_ms) / (kMany - 1) / others;
  const double large = exchange_ms(ranks, large_piece, kFew) - link.latency_ms;
  link.bytes_per_ms = others * static_cast<double>(large_piece) * kFew / std::max(1e-6, large);
  measure_asking(ranks, piece_of(bucket_bytes), link);
  return link;
}

}  // namespace sluice
