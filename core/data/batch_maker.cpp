#include "core/data/batch_maker.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// In place of the label of an image that cannot be read, until its batch is finished.
constexpr std::int32_t kLeftOut = -1;

/// The bytes that normalisation turns into about 0.
std::vector<std::uint8_t> mean_bytes(const Normalization& normalization) {
  std::vector<std::uint8_t> bytes;
  for (const double mean : normalization.mean)
    bytes.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp(mean, 0.0, 1.0))));
  return bytes;
}

}  // namespace

BatchMaker::BatchMaker(const Dataset& dataset, const PipelineOptions& options)
    : dataset_(dataset),
      options_(options),
      pass_(dataset.shape(), options.normalization, options.augmentation),
      mixer_(dataset.shape(), options.mixing, options.seed),
      mean_(mean_bytes(options.normalization)),
      order_(dataset, options.shuffle, options.seed, options.balance) {
  assert(options.batch > 0 && options.world > 0 && options.rank >= 0 && options.rank < options.world);
  assert(options.parts == 1 || (options.drop_last && options.batch % options.parts == 0));
  constexpr std::int64_t kMostImages = std::int64_t{1} << 32;  // a random stream's number of a sample has 32 bits
  if (dataset.size() > kMostImages) {
    throw Error(ExitCode::kData,
                concat(dataset.name(), ": expected at most ", kMostImages, " images, got ", dataset.size()));
  }
  whole_epoch_ = batches_of(dataset.size()).size();
  if (whole_epoch_ == 0 && !options.whole_batches) {
    throw Error(ExitCode::kData, concat(dataset.name(), ": ", dataset.size(), " images do not fill a batch of ",
                                        options.batch, "; use a smaller batch"));
  }
}

void BatchMaker::reserve(BatchInMaking& making) const {
  const std::int64_t part = options_.batch / options_.parts, ranks = options_.whole_batches ? 1 : options_.world;
  const std::int64_t mixed_in = options_.mixing.enabled() ? options_.parts : 0;  // other ranks' images
  const std::int64_t images = std::min(dataset_.size(), options_.parts * ((part + ranks - 1) / ranks)) + mixed_in;
  const auto most = static_cast<std::size_t>(images), values = static_cast<std::size_t>(dataset_.shape().count());
  making.batch.images.reserve(most * values);
  making.batch.labels.reserve(most);
  making.batch.indices.reserve(most);
  making.places.reserve(most);
  if (options_.mixing.enabled()) {
    making.others.reserve(most);
    making.batch.mixed.reserve(most);
  }
  if (!one_by_one()) making.bytes.resize(most * values);
}

std::int64_t BatchMaker::set_epoch(std::int64_t epoch, std::int64_t done) {
  epoch_ = epoch;
  start_ = std::min(done, dataset_.size());
  const RankShare own = batches_of(dataset_.size() - start_);
  first_batch_ = own.begin;
  order_.set_epoch(epoch);
  order_.gather_groups(start_, options_.batch / options_.parts);
  return own.size();
}

/// Those of the epoch's batches that are made here, where so many images are left.
RankShare BatchMaker::batches_of(std::int64_t images) const {
  const std::int64_t all =
      options_.drop_last ? images / options_.batch : (images + options_.batch - 1) / options_.batch;
  return options_.whole_batches ? rank_share(all, options_.rank, options_.world) : RankShare{0, all};
}

void BatchMaker::begin(std::int64_t number, BatchInMaking& making) const {
  const std::int64_t begin = start_ + (first_batch_ + number) * options_.batch;
  const std::int64_t rank = options_.whole_batches ? 0 : options_.rank,
                     world = options_.whole_batches ? 1 : options_.world;
  Batch& batch = making.batch;
  batch.epoch = epoch_;
  batch.whole = std::min(options_.batch, dataset_.size() - begin);
  const std::int64_t part = batch.whole / options_.parts;
  const RankShare own = rank_share(part, rank, world);
  batch.first = begin + own.begin;
  making.places.clear();
  for (std::int64_t start_of_part = begin; start_of_part < begin + batch.whole; start_of_part += part)
    for (std::int64_t i = own.begin; i < own.end; ++i) making.places.push_back(start_of_part + i);
  batch.count = making.images();
  if (options_.mixing.enabled()) choose_others(begin, making);
  const auto images = static_cast<std::size_t>(making.images());
  batch.indices.clear();
  for (const std::int64_t each : making.places)
    batch.indices.push_back(order_.indices()[static_cast<std::size_t>(each)]);
  batch.labels.resize(images);
  batch.images.resize(images * static_cast<std::size_t>(dataset_.shape().count()));
}

/// Each image is mixed with the one behind it in the batch of all ranks, the last with the first. Where that one is not
/// here, or no longer as it was when its turn comes, it is made once more, behind all others.
void BatchMaker::choose_others(std::int64_t begin, BatchInMaking& making) const {
  making.others.clear();
  for (std::int64_t i = 0; i < making.batch.count; ++i) {
    const std::int64_t next = begin + (making.places[static_cast<std::size_t>(i)] + 1 - begin) % making.batch.whole;
    const bool follows = i + 1 < making.batch.count && making.places[static_cast<std::size_t>(i + 1)] == next;
    making.others.push_back(follows ? i + 1 : making.images());
    if (!follows) making.places.push_back(next);
  }
}

void BatchMaker::read_all(BatchInMaking& making) const {
  Batch& batch = making.batch;
  const std::int64_t values = dataset_.shape().count();
  dataset_.read(batch.indices.data(), making.images(), making.bytes.data(), batch.labels.data());
  for (std::int64_t i = 0; i < making.images(); ++i) transform(i, making.bytes.data() + i * values, making);
}

/// The epoch by which image i of a batch is drawn: one that is there again in a balanced epoch looks otherwise.
std::uint64_t BatchMaker::draw_epoch(const BatchInMaking& making, std::int64_t i) const {
  const std::int64_t place = making.places[static_cast<std::size_t>(i)];
  return static_cast<std::uint64_t>(epoch_) + (order_.times_before(place) << 32);
}

/// Augments and normalises image i of a batch.
void BatchMaker::transform(std::int64_t i, const std::uint8_t* bytes, BatchInMaking& making) const {
  Batch& batch = making.batch;
  const auto sample = static_cast<std::uint32_t>(batch.indices[static_cast<std::size_t>(i)]);
  Random random(options_.seed, Purpose::kAugment, draw_epoch(making, i), sample);
  pass_.apply(bytes, pass_.choose(random), batch.images.data() + i * dataset_.shape().count());
}

void BatchMaker::make(std::int64_t i, BatchInMaking& making) const {
  static thread_local std::vector<std::uint8_t> bytes;
  const std::int64_t values = dataset_.shape().count();
  bytes.resize(static_cast<std::size_t>(values));
  Batch& batch = making.batch;
  const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
  std::int32_t& label = batch.labels[static_cast<std::size_t>(i)];
  if (options_.transform) {
    label = dataset_.read_for_training(index, {options_.seed, draw_epoch(making, i), mean_}, bytes.data());
  } else {
    label = dataset_.read_for_evaluation(index, bytes.data()).value_or(kLeftOut);
    if (label == kLeftOut) return;
  }
  transform(i, bytes.data(), making);
}

void BatchMaker::finish(BatchInMaking& making) const {
  Batch& batch = making.batch;
  const std::int64_t values = dataset_.shape().count();
  std::size_t to = 0;
  for (std::size_t i = 0; i < batch.labels.size(); ++i) {
    if (batch.labels[i] == kLeftOut) continue;
    if (to != i) {
      const auto image = batch.images.begin() + static_cast<std::int64_t>(i) * values;
      std::copy(image, image + values, batch.images.begin() + static_cast<std::int64_t>(to) * values);
      batch.labels[to] = batch.labels[i];
      batch.indices[to] = batch.indices[i];
    }
    ++to;
  }
  if (options_.mixing.enabled()) {
    mixer_.apply(batch.epoch, batch.indices, making.others, batch.images.data(), batch.labels, batch.mixed);
    to = making.others.size();
  }
  batch.count = static_cast<std::int64_t>(to);
  batch.labels.resize(to);
  batch.indices.resize(to);
  batch.images.resize(to * static_cast<std::size_t>(values));
}

}  // namespace sluice
