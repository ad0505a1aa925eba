// Turns a data set into batches for the network: shuffled, augmented, normalised, and prepared ahead by background
// threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/data/mixing.hpp"
#include "core/data/normalization.hpp"
#include "core/data/pixel_pass.hpp"

namespace sluice {

struct Batch {
  std::vector<float> images;          ///< count x height x width x channels, normalised
  std::vector<std::int32_t> labels;   ///< count
  std::vector<std::int64_t> indices;  ///< count: positions in the data set
  std::vector<MixedLabel> mixed;      ///< count; none where images are not mixed
  /// Images here. Fewer where an evaluation leaves out what cannot be read; may be 0, also on a rank that gets nothing
  /// of a small last batch.
  std::int64_t count = 0;
  std::int64_t whole = 0;  ///< images of the batch over all ranks
  std::int64_t epoch = 0;
  std::int64_t first = 0;  ///< place of images[0] in the epoch's order
};

/// Some images of a batch, one behind the other.
struct BatchPart {
  const float* images = nullptr;
  const std::int32_t* labels = nullptr;
  const MixedLabel* mixed = nullptr;  ///< null where images are not mixed
  std::int64_t count = 0;
};
/// Part number `which` of `parts`, into which the batch can be divided.
BatchPart part_of(const Batch& batch, std::int64_t which, std::int64_t parts);

/// Those of `count` images that one of several ranks computes: [begin, end).
struct RankShare {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};
constexpr RankShare rank_share(std::int64_t count, std::int64_t rank, std::int64_t world) {
  return {count * rank / world, count * (rank + 1) / world};
}

struct PipelineOptions {
  std::int64_t batch = 128;  ///< images of a batch, over all ranks
  bool shuffle = false;      ///< a new order for each epoch; else the data set's order
  bool balance = false;      ///< with shuffle: classes equally often (EpochOrder)
  bool drop_last = false;    ///< leaves out the last images of an epoch that do not fill a batch
  bool transform = false;    ///< images as training is to see them: Dataset::read_for_training
  Augmentation augmentation;
  Mixing mixing;
  Normalization normalization;
  std::uint64_t seed = 1;
  /// Background threads at most. With 0, or where TBB may use one thread only or gets none from the system, batches are
  /// made inside next().
  std::int64_t workers = 1;
  std::int64_t prefetch = 4;  ///< batches prepared ahead at most
  std::int64_t rank = 0;      ///< this process takes its rank_share of each part
  std::int64_t world = 1;
  /// Into which a batch is divided; this process takes its share of each of them, one behind the other.
  std::int64_t parts = 1;
  /// Each rank takes its rank_share of the epoch's batches instead, whole ones that follow each other.
  bool whole_batches = false;
};

/// Options for training, and for evaluation: the data set's order, every image once, no augmentation; what cannot be
/// read is left out where [data] on_bad_image says so.
PipelineOptions training_pipeline(const DataOptions& data, const Normalization& normalization, std::int64_t batch,
                                  std::uint64_t seed);
PipelineOptions evaluation_pipeline(const DataOptions& data, const Normalization& normalization, std::int64_t batch);

/// What the batches hold depends on the data set, seed, epoch and batch size, never on workers, prefetching, earlier
/// epochs or the number of ranks: of several each has its images as one process has them, also where the image that one
/// is mixed with is another rank's. One thread uses a pipeline; the data set must outlive it. Nothing is allocated
/// after the first batches of an epoch, but by libraries that decode pictures. A thread that waits for a batch of a set
/// that decodes makes images of it meanwhile.
class Pipeline {
 public:
  /// Throws Error(kData) where the set is smaller than one batch and `drop_last` is set, or has more than 2^32 images.
  Pipeline(const Dataset& dataset, const PipelineOptions& options);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Batches of a whole epoch.
  std::int64_t batches() const;

  /// Begins an epoch behind its first `done` images, dropping what is left of the epoch before. Batches follow each
  /// other from there; an epoch that was begun with batches of another size goes on with the images that are left.
  void start(std::int64_t epoch, std::int64_t done = 0);

  /// The next batch, valid until the next call of any function; null at the end of the epoch. Rethrows what went wrong
  /// while the batch was prepared.
  const Batch* next();

  /// Seconds that next() spent waiting for batches or making them, since the pipeline was made.
  double wait_seconds() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice
