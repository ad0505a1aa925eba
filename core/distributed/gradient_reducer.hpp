// Means of gradients over the ranks, bucket by bucket, while backward still computes others.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/distributed/communicator.hpp"
#include "core/distributed/options.hpp"

namespace sluice {

/// An array is cut into buckets, a bucket into a piece for each rank. Every rank sends its values of a piece to the
/// piece's owner, which adds them up in fp32 in the order of the ranks and sends the sum to all (reduce-scatter and
/// all-gather). So the result has the same bits on all ranks and each time, under any MPI. On the wire numbers are fp32
/// or bf16.
class GradientReducer {
 public:
  struct Options {
    WireType wire = WireType::kF32;  ///< of gradients; running statistics are always fp32
    std::int64_t bucket = 0;         ///< elements; 0: bucket_for(ranks)
    bool overlap = true;             ///< else nothing starts before finish()
  };
  /// Of the last step.
  struct Times {
    double exposed_ms = 0;         ///< in finish(): what backward did not hide
    std::int64_t bytes_early = 0;  ///< of those that this rank sends, arrived when finish() began
  };

  /// Elements of a bucket: few enough to be sent while backward goes on, and so many for a rank's piece that the
  /// messages, of which there are as many as ranks, are worth their latency.
  static std::int64_t bucket_for(std::int64_t ranks);

  /// The arrays must outlive the reducer. `statistics` become means like the gradients.
  GradientReducer(Communicator& ranks, float* gradients, std::int64_t count, float* statistics,
                  std::int64_t statistics_count, const Options& options);

  /// Before backward: the statistics are final. `weight`: the rank's share of the batch, of 1.
  void begin(double weight);
  /// During backward: the gradients from element `first` on are final. Sends what is whole, and lets the library work.
  void advance(std::int64_t first);
  /// After it: returns when all arrays hold the means.
  void finish();

  /// The buckets in the order in which they are sent.
  struct BucketPlan {
    std::int64_t first = 0;  ///< element from which on gradients must be final
    std::int64_t bytes = 0;
  };
  std::vector<BucketPlan> plan() const;
  /// Bytes that this rank sends in a step.
  std::int64_t bytes_per_step() const;
  const Times& times() const { return times_; }

 private:
  struct Bucket {
    float* values = nullptr;
    std::int64_t count = 0, piece = 0;  ///< elements; of each rank
    std::int64_t first = 0;             ///< place in the gradients; of statistics: behind them
    WireType wire = WireType::kF32;
    Buffer pieces, received;
    Communicator::Transfer transfer = 0;
  };
  void add_buckets(float* values, std::int64_t count, std::int64_t first, WireType wire);
  void start_final(std::int64_t first);
  void start(Bucket& bucket);
  void sum(Bucket& bucket);
  void take(Bucket& bucket);
  void poll();
  std::int64_t bytes_of_piece(const Bucket& bucket) const;

  Communicator& ranks_;
  Options options_;
  std::int64_t gradients_;       ///< elements
  std::vector<Bucket> buckets_;  ///< in the order in which they are started
  // How many of them are under way: sent to their owners, added up and sent to all, and there.
  std::size_t started_ = 0, summed_ = 0, taken_ = 0;
  float weight_ = 1;
  Times times_;
};

}  // namespace sluice
