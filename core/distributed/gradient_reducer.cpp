#include "core/distributed/gradient_reducer.hpp"

#include <algorithm>

#include "core/base/bfloat16.hpp"
#include "core/base/parallel.hpp"
#include "core/base/stopwatch.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kGrain = 1 << 14;
constexpr std::int64_t kLeastBucket = 1 << 18, kLeastPiece = 1 << 12;

std::int64_t bytes_of(WireType wire) {
  return wire == WireType::kF32 ? 4 : 2;
}

/// Calls body(T{}) for what a wire carries.
template <class Body>
void with_type(WireType wire, Body&& body) {
  if (wire == WireType::kF32) return body(float{});
  body(BFloat16{});
}

/// own[i] = the sum over the ranks of received[rank * piece + i], in their order.
template <class T>
void add_up(std::int64_t ranks, std::int64_t piece, const T* received, T* own) {
  constexpr std::int64_t kAtOnce = 256;
  parallel_for(piece, kGrain, [=](std::int64_t begin, std::int64_t end) {
    float sums[kAtOnce];
    for (std::int64_t first = begin; first < end; first += kAtOnce) {
      const std::int64_t count = std::min(kAtOnce, end - first);
      for (std::int64_t i = 0; i < count; ++i) sums[i] = widen(received[first + i]);
      for (std::int64_t rank = 1; rank < ranks; ++rank) {
        const T* const of_rank = received + rank * piece + first;
        for (std::int64_t i = 0; i < count; ++i) sums[i] += widen(of_rank[i]);
      }
      for (std::int64_t i = 0; i < count; ++i) narrow(sums[i], own[first + i]);
    }
  });
}

}  // namespace

std::int64_t GradientReducer::bucket_for(std::int64_t ranks) {
  return std::max(kLeastBucket, ranks * kLeastPiece);
}

GradientReducer::GradientReducer(Communicator& ranks, float* gradients, std::int64_t count, float* statistics,
                                 std::int64_t statistics_count, const Options& options)
    : ranks_(ranks), options_(options), gradients_(count) {
  if (options_.bucket == 0) options_.bucket = bucket_for(ranks.size());
  add_buckets(statistics, statistics_count, count, WireType::kF32);
  add_buckets(gradients, count, 0, options.wire);
}

/// From the array's end on, where gradients are final first.
void GradientReducer::add_buckets(float* values, std::int64_t count, std::int64_t first, WireType wire) {
  for (std::int64_t end = count; end > 0; end -= std::min(end, options_.bucket)) {
    const std::int64_t begin = end - std::min(end, options_.bucket);
    Bucket bucket;
    bucket.values = values + begin;
    bucket.count = end - begin;
    bucket.piece = (bucket.count + ranks_.size() - 1) / ranks_.size();
    bucket.first = first + begin;
    bucket.wire = wire;
    const std::int64_t bytes = bucket.piece * ranks_.size() * bytes_of(wire);
    bucket.pieces = Buffer(bytes);
    bucket.received = Buffer(bytes);
    buckets_.push_back(std::move(bucket));
  }
}

std::int64_t GradientReducer::bytes_of_piece(const Bucket& bucket) const {
  return bucket.piece * bytes_of(bucket.wire);
}

std::vector<GradientReducer::BucketPlan> GradientReducer::plan() const {
  std::vector<BucketPlan> plan;
  for (const Bucket& bucket : buckets_) plan.push_back({bucket.first, ranks_.size() * bytes_of_piece(bucket)});
  return plan;
}

std::int64_t GradientReducer::bytes_per_step() const {
  std::int64_t bytes = 0;
  for (const Bucket& bucket : buckets_) bytes += 2 * (ranks_.size() - 1) * bytes_of_piece(bucket);
  return bytes;
}

void GradientReducer::begin(double weight) {
  weight_ = static_cast<float>(weight);
  started_ = summed_ = taken_ = 0;
  if (options_.overlap) start_final(gradients_);
}

void GradientReducer::advance(std::int64_t first) {
  if (!options_.overlap) return;
  start_final(first);
  poll();
}

void GradientReducer::finish() {
  times_ = {};
  const Stopwatch watch(&times_.exposed_ms);
  for (std::size_t i = 0; i < summed_; ++i)
    times_.bytes_early += (i < taken_ ? 2 : 1) * (ranks_.size() - 1) * bytes_of_piece(buckets_[i]);
  start_final(0);
  for (; summed_ < buckets_.size(); ++summed_) {
    ranks_.wait(buckets_[summed_].transfer);
    sum(buckets_[summed_]);
  }
  for (; taken_ < buckets_.size(); ++taken_) {
    ranks_.wait(buckets_[taken_].transfer);
    take(buckets_[taken_]);
  }
}

void GradientReducer::start_final(std::int64_t first) {
  for (; started_ < buckets_.size() && buckets_[started_].first >= first; ++started_) start(buckets_[started_]);
}

void GradientReducer::start(Bucket& bucket) {
  with_type(bucket.wire, [&](auto type) {
    using T = decltype(type);
    T* const pieces = bucket.pieces.as<T>();  // zero behind the last value
    const float* const values = bucket.values;
    const float weight = weight_;
    parallel_for(bucket.count, kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) narrow(weight * values[i], pieces[i]);
    });
  });
  bucket.transfer = ranks_.start_exchange(bucket.pieces.data(), bucket.received.data(), bytes_of_piece(bucket));
}

/// The own piece, which then goes to all.
void GradientReducer::sum(Bucket& bucket) {
  with_type(bucket.wire, [&](auto type) {
    using T = decltype(type);
    add_up(ranks_.size(), bucket.piece, bucket.received.as<const T>(),
           bucket.pieces.as<T>() + ranks_.rank() * bucket.piece);
  });
  bucket.transfer = ranks_.start_gather(bucket.pieces.data(), bytes_of_piece(bucket));
}

void GradientReducer::take(Bucket& bucket) {
  with_type(bucket.wire, [&](auto type) {
    using T = decltype(type);
    const T* const pieces = bucket.pieces.as<const T>();
    float* const values = bucket.values;
    parallel_for(bucket.count, kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) values[i] = widen(pieces[i]);
    });
  });
}

/// Exchanges end in the order of their start on every rank, and so gathers start in one.
void GradientReducer::poll() {
  for (; summed_ < started_ && ranks_.arrived(buckets_[summed_].transfer); ++summed_) sum(buckets_[summed_]);
  for (; taken_ < summed_ && ranks_.arrived(buckets_[taken_].transfer); ++taken_) take(buckets_[taken_]);
}

}  // namespace sluice
