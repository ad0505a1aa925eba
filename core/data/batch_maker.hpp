// Makes one batch: which images it has, and what becomes of them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/order.hpp"
#include "core/data/pipeline.hpp"

namespace sluice {

/// A batch, and what is needed only until it is finished.
struct BatchInMaking {
  Batch batch;
  std::vector<std::int64_t> places;  ///< in the epoch's order; behind those of the batch, of images that are mixed in
  std::vector<std::int64_t> others;  ///< where images are mixed: whom each image is mixed with
  std::vector<std::uint8_t> bytes;   ///< images as stored, between the data set and the pixel pass
  std::int64_t images() const { return static_cast<std::int64_t>(places.size()); }
};

/// The batches of an epoch that this rank makes, in any order: begin(), then the images, then finish(). Threads may
/// make different batches, and different images of a batch, at once.
class BatchMaker {
 public:
  /// Throws as Pipeline does. The data set must outlive it.
  BatchMaker(const Dataset& dataset, const PipelineOptions& options);

  /// Batches of a whole epoch.
  std::int64_t whole_epoch() const { return whole_epoch_; }
  /// Memory for the largest batch.
  void reserve(BatchInMaking& making) const;

  /// Of that epoch, behind its first `done` images. Returns how many batches there are.
  std::int64_t set_epoch(std::int64_t epoch, std::int64_t done);

  /// Chooses the images of batch `number`.
  void begin(std::int64_t number, BatchInMaking& making) const;
  /// Whether images are decoded, so that make() one by one is worth several threads; else read_all() makes them.
  bool one_by_one() const { return dataset_.decodes(); }
  void make(std::int64_t i, BatchInMaking& making) const;
  void read_all(BatchInMaking& making) const;
  /// Closes the gaps of images that were left out, and mixes.
  void finish(BatchInMaking& making) const;

 private:
  RankShare batches_of(std::int64_t images) const;
  void choose_others(std::int64_t begin, BatchInMaking& making) const;
  std::uint64_t draw_epoch(const BatchInMaking& making, std::int64_t i) const;
  void transform(std::int64_t i, const std::uint8_t* bytes, BatchInMaking& making) const;

  const Dataset& dataset_;
  const PipelineOptions options_;
  const PixelPass pass_;
  const Mixer mixer_;
  const std::vector<std::uint8_t> mean_;
  EpochOrder order_;
  std::int64_t whole_epoch_ = 0;
  std::int64_t epoch_ = 0;
  std::int64_t start_ = 0;        ///< images of the epoch before the first batch
  std::int64_t first_batch_ = 0;  ///< of all ranks' batches behind them, the first one here
};

}  // namespace sluice
