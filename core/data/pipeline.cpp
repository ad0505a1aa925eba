#include "core/data/pipeline.hpp"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include <algorithm>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/data/order.hpp"

namespace sluice {

namespace {

// TBB is not built for the thread sanitizer, which therefore has to be told that a task sees what was written before it
// was given away.
#if defined(__SANITIZE_THREAD__)
void give_away(void* state) {
  __tsan_release(state);
}
template <class State>
__attribute__((noinline, no_sanitize("thread"))) State* take_over(State* const& state) {
  __tsan_acquire(state);
  return state;
}
#else
void give_away(void*) {}
template <class State>
State* take_over(State* const& state) {
  return state;
}
#endif

/// TBB that is limited to one thread would ignore the request for another, and print a warning.
bool has_background(const PipelineOptions& options) {
  return options.workers > 0 && tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism) > 1;
}

/// In place of the label of an image that cannot be read, until its batch is finished.
constexpr std::int32_t kLeftOut = -1;

struct BatchSlot {
  Batch batch;
  std::vector<std::int64_t> places;  // in the epoch's order; behind those of the batch, of images that are mixed in
  std::vector<std::int64_t> others;  // where images are mixed: whom each image is mixed with
  std::int64_t images() const { return static_cast<std::int64_t>(places.size()); }
  std::vector<std::uint8_t> bytes;  // images as stored, between the data set and the pixel pass
  std::exception_ptr error;
  bool ready = false;
  // Where images are made one by one:
  std::atomic<std::int64_t> next_image{0};  // to be claimed
  bool shared = false;                      // others may make images, too
  std::int64_t helpers = 0;                 // others that do
};

/// The bytes that normalisation turns into about 0.
std::vector<std::uint8_t> mean_bytes(const Normalization& normalization) {
  std::vector<std::uint8_t> bytes;
  for (const double mean : normalization.mean)
    bytes.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp(mean, 0.0, 1.0))));
  return bytes;
}

}  // namespace

// Batch b since the start lives in slot b % slots. Batches are claimed in order, by a background task or by next()
// itself where none has got so far; a batch may be claimed once the one that had its slot was handed back.
struct Pipeline::State : std::enable_shared_from_this<Pipeline::State> {
  State(const Dataset& set, const PipelineOptions& wanted);

  std::int64_t claimable() const { return std::min(batches, handed_back + static_cast<std::int64_t>(slots.size())); }
  BatchSlot& slot(std::int64_t number) {
    return slots[static_cast<std::size_t>(number % static_cast<std::int64_t>(slots.size()))];
  }
  void work();
  struct Task {
    State* state;
    std::shared_ptr<State> life;  // a task may begin, or be dropped, when the pipeline is gone
    void operator()() const { take_over(state)->work(); }
  };
  RankShare batches_of(std::int64_t images) const;
  void begin(std::int64_t new_epoch, std::int64_t done);
  void cancel(std::unique_lock<std::mutex>& lock);
  void enqueue(std::int64_t tasks, std::unique_lock<std::mutex>& lock);
  void prepare(std::int64_t number, std::unique_lock<std::mutex>& lock);
  void begin_batch(std::int64_t number, BatchSlot& slot) const;
  void choose_others(std::int64_t begin, BatchSlot& slot) const;
  void fill(BatchSlot& slot) const;
  void make_images(BatchSlot& slot);
  void make_image(BatchSlot& slot, std::int64_t i) const;
  void finish_image(BatchSlot& slot, std::int64_t i, const std::uint8_t* bytes) const;
  void finish_batch(BatchSlot& slot) const;
  std::uint64_t draw_epoch(const BatchSlot& slot, std::int64_t i) const;
  void share_out(BatchSlot& slot, std::unique_lock<std::mutex>& lock);
  void await(BatchSlot& slot, std::unique_lock<std::mutex>& lock);
  const Batch* take();

  const Dataset& dataset;
  const PipelineOptions options;
  const PixelPass pass;
  const Mixer mixer;
  const std::vector<std::uint8_t> mean;
  EpochOrder order;
  std::int64_t whole_epoch = 0;  // batches
  std::int64_t epoch = 0;
  std::int64_t start = 0;        // images of the epoch before the first batch
  std::int64_t batches = 0;      // behind them
  std::int64_t first_batch = 0;  // of all ranks' batches behind them, the first one here
  double waited = 0;

  std::mutex mutex;  // guards what follows; a claimed slot belongs to who claimed it until it is ready
  std::condition_variable changed;
  std::vector<BatchSlot> slots;
  std::int64_t next_claim = 0;   // batch to be claimed next
  std::int64_t next_take = 0;    // batch that next() returns next
  std::int64_t handed_back = 0;  // batches below are no longer looked at by the consumer
  std::int64_t filling = 0;      // claimed and not ready

  std::unique_ptr<tbb::task_arena> arena;  // of the consumer alone
};

Pipeline::State::State(const Dataset& set, const PipelineOptions& wanted)
    : dataset(set),
      options(wanted),
      pass(set.shape(), wanted.normalization, wanted.augmentation),
      mixer(set.shape(), wanted.mixing, wanted.seed),
      mean(mean_bytes(wanted.normalization)),
      order(set, wanted.shuffle, wanted.seed, wanted.balance),
      slots(static_cast<std::size_t>(has_background(wanted) ? wanted.prefetch + 1 : 1)) {
  assert(options.batch > 0 && options.world > 0 && options.rank >= 0 && options.rank < options.world);
  assert(options.workers >= 0 && options.prefetch > 0);
  constexpr std::int64_t kMostImages = std::int64_t{1} << 32;  // a random stream's number of a sample has 32 bits
  if (set.size() > kMostImages) {
    throw Error(ExitCode::kData, concat(set.name(), ": expected at most ", kMostImages, " images, got ", set.size()));
  }
  whole_epoch = batches_of(set.size()).size();
  if (whole_epoch == 0 && !options.whole_batches) {
    throw Error(ExitCode::kData, concat(set.name(), ": ", set.size(), " images do not fill a batch of ", options.batch,
                                        "; use a smaller batch"));
  }
  assert(options.parts == 1 || (options.drop_last && options.batch % options.parts == 0));
  const std::int64_t part = options.batch / options.parts, ranks = options.whole_batches ? 1 : options.world;
  const std::int64_t mixed_in = wanted.mixing.enabled() ? options.parts : 0;  // other ranks' images
  const std::int64_t most = std::min(set.size(), options.parts * ((part + ranks - 1) / ranks)) + mixed_in;
  for (BatchSlot& slot : slots) {
    slot.batch.images.reserve(static_cast<std::size_t>(most * set.shape().count()));
    slot.batch.labels.reserve(static_cast<std::size_t>(most));
    slot.batch.indices.reserve(static_cast<std::size_t>(most));
    slot.places.reserve(static_cast<std::size_t>(most));
    if (wanted.mixing.enabled()) {
      slot.others.reserve(static_cast<std::size_t>(most));
      slot.batch.mixed.reserve(static_cast<std::size_t>(most));
    }
    if (!set.decodes()) slot.bytes.resize(static_cast<std::size_t>(most * set.shape().count()));
  }
  if (has_background(options)) {
    arena = std::make_unique<tbb::task_arena>(static_cast<int>(options.workers), 0, tbb::task_arena::priority::high);
  }
}

/// Those of the epoch's batches that are made here, where so many images are left.
RankShare Pipeline::State::batches_of(std::int64_t images) const {
  const std::int64_t all = options.drop_last ? images / options.batch : (images + options.batch - 1) / options.batch;
  return options.whole_batches ? rank_share(all, options.rank, options.world) : RankShare{0, all};
}

void Pipeline::State::cancel(std::unique_lock<std::mutex>& lock) {
  next_claim = batches;
  changed.wait(lock, [this] { return filling == 0; });
}

void Pipeline::State::begin(std::int64_t new_epoch, std::int64_t done) {
  std::unique_lock<std::mutex> lock(mutex);
  cancel(lock);
  epoch = new_epoch;
  start = std::min(done, dataset.size());
  const RankShare own = batches_of(dataset.size() - start);
  batches = own.size();
  first_batch = own.begin;
  order.set_epoch(epoch);
  order.gather_groups(start, options.batch / options.parts);
  for (BatchSlot& each : slots) each.ready = false;
  next_claim = next_take = handed_back = 0;
  enqueue(claimable() - next_claim, lock);
}

void Pipeline::State::enqueue(std::int64_t count, std::unique_lock<std::mutex>& lock) {
  if (!arena || count == 0) return;
  lock.unlock();  // so that the tasks need not wait for it
  give_away(this);
  try {
    for (std::int64_t i = 0; i < count; ++i) arena->enqueue(Task{this, shared_from_this()});
  } catch (const std::exception&) {  // no thread, or no memory for a task: next() makes what no task claims
  }
  lock.lock();
}

void Pipeline::State::work() {
  std::unique_lock<std::mutex> lock(mutex);
  if (next_claim < claimable()) prepare(next_claim++, lock);
}

/// Fills the slot of a batch that the caller has just claimed; the lock is released meanwhile.
void Pipeline::State::prepare(std::int64_t number, std::unique_lock<std::mutex>& lock) {
  BatchSlot& target = slot(number);
  ++filling;
  lock.unlock();
  target.error = nullptr;
  target.next_image = 0;
  begin_batch(number, target);
  try {
    if (dataset.decodes())
      share_out(target, lock);
    else
      fill(target);
    if (!target.error) finish_batch(target);
  } catch (...) {
    target.error = std::current_exception();
  }
  lock.lock();
  target.ready = true;
  --filling;
  changed.notify_all();
}

/// Makes the images one by one, with whoever helps.
void Pipeline::State::share_out(BatchSlot& target, std::unique_lock<std::mutex>& lock) {
  lock.lock();
  target.shared = true;
  changed.notify_all();
  lock.unlock();
  make_images(target);
  lock.lock();
  target.shared = false;
  changed.wait(lock, [&target] { return target.helpers == 0; });
  lock.unlock();
}

void Pipeline::State::begin_batch(std::int64_t number, BatchSlot& target) const {
  const std::int64_t begin = start + (first_batch + number) * options.batch;
  const std::int64_t rank = options.whole_batches ? 0 : options.rank, world = options.whole_batches ? 1 : options.world;
  Batch& batch = target.batch;
  batch.epoch = epoch;
  batch.whole = std::min(options.batch, dataset.size() - begin);
  const std::int64_t part = batch.whole / options.parts;
  const RankShare own = rank_share(part, rank, world);
  batch.first = begin + own.begin;
  target.places.clear();
  for (std::int64_t start_of_part = begin; start_of_part < begin + batch.whole; start_of_part += part)
    for (std::int64_t i = own.begin; i < own.end; ++i) target.places.push_back(start_of_part + i);
  batch.count = target.images();
  if (options.mixing.enabled()) choose_others(begin, target);
  const auto images = static_cast<std::size_t>(target.images());
  batch.indices.clear();
  for (const std::int64_t each : target.places)
    batch.indices.push_back(order.indices()[static_cast<std::size_t>(each)]);
  batch.labels.resize(images);
  batch.images.resize(images * static_cast<std::size_t>(dataset.shape().count()));
}

/// Each image is mixed with the one behind it in the batch of all ranks, the last with the first. Where that one is not
/// here, or no longer as it was when its turn comes, it is made once more, behind all others.
void Pipeline::State::choose_others(std::int64_t begin, BatchSlot& target) const {
  target.others.clear();
  for (std::int64_t i = 0; i < target.batch.count; ++i) {
    const std::int64_t next = begin + (target.places[static_cast<std::size_t>(i)] + 1 - begin) % target.batch.whole;
    const bool follows = i + 1 < target.batch.count && target.places[static_cast<std::size_t>(i + 1)] == next;
    target.others.push_back(follows ? i + 1 : target.images());
    if (!follows) target.places.push_back(next);
  }
}

void Pipeline::State::fill(BatchSlot& target) const {
  Batch& batch = target.batch;
  const std::int64_t values = dataset.shape().count();
  dataset.read(batch.indices.data(), target.images(), target.bytes.data(), batch.labels.data());
  for (std::int64_t i = 0; i < target.images(); ++i) finish_image(target, i, target.bytes.data() + i * values);
}

/// The epoch by which image i of a batch is drawn: one that is there again in a balanced epoch looks otherwise.
std::uint64_t Pipeline::State::draw_epoch(const BatchSlot& target, std::int64_t i) const {
  const std::int64_t place = target.places[static_cast<std::size_t>(i)];
  return static_cast<std::uint64_t>(epoch) + (order.times_before(place) << 32);
}

/// Augments and normalises image i of a batch.
void Pipeline::State::finish_image(BatchSlot& target, std::int64_t i, const std::uint8_t* bytes) const {
  Batch& batch = target.batch;
  const auto sample = static_cast<std::uint32_t>(batch.indices[static_cast<std::size_t>(i)]);
  Random random(options.seed, Purpose::kAugment, draw_epoch(target, i), sample);
  pass.apply(bytes, pass.choose(random), batch.images.data() + i * dataset.shape().count());
}

/// Closes the gaps of images that were left out, and mixes.
void Pipeline::State::finish_batch(BatchSlot& target) const {
  Batch& batch = target.batch;
  const std::int64_t values = dataset.shape().count();
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
  if (options.mixing.enabled()) {
    mixer.apply(batch.epoch, batch.indices, target.others, batch.images.data(), batch.labels, batch.mixed);
    to = target.others.size();
  }
  batch.count = static_cast<std::int64_t>(to);
  batch.labels.resize(to);
  batch.indices.resize(to);
  batch.images.resize(to * static_cast<std::size_t>(values));
}

/// Makes images of a batch until all are claimed.
void Pipeline::State::make_images(BatchSlot& target) {
  try {
    for (std::int64_t i; (i = target.next_image.fetch_add(1)) < target.images();) make_image(target, i);
  } catch (...) {
    target.next_image = target.images();
    const std::lock_guard<std::mutex> lock(mutex);
    if (!target.error) target.error = std::current_exception();
  }
}

void Pipeline::State::make_image(BatchSlot& target, std::int64_t i) const {
  static thread_local std::vector<std::uint8_t> bytes;
  const std::int64_t values = dataset.shape().count();
  bytes.resize(static_cast<std::size_t>(values));
  Batch& batch = target.batch;
  const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
  std::int32_t& label = batch.labels[static_cast<std::size_t>(i)];
  if (options.transform) {
    label = dataset.read_for_training(index, {options.seed, draw_epoch(target, i), mean}, bytes.data());
  } else {
    label = dataset.read_for_evaluation(index, bytes.data()).value_or(kLeftOut);
    if (label == kLeftOut) return;
  }
  finish_image(target, i, bytes.data());
}

/// Waits for a batch that somebody makes, and helps.
void Pipeline::State::await(BatchSlot& wanted, std::unique_lock<std::mutex>& lock) {
  while (!wanted.ready) {
    if (wanted.shared && wanted.next_image < wanted.images()) {
      ++wanted.helpers;
      lock.unlock();
      make_images(wanted);
      lock.lock();
      --wanted.helpers;
      changed.notify_all();
    } else {
      changed.wait(lock);
    }
  }
}

const Batch* Pipeline::State::take() {
  std::unique_lock<std::mutex> lock(mutex);
  const std::int64_t before = claimable();
  handed_back = next_take;
  enqueue(claimable() - before, lock);
  if (next_take == batches) return nullptr;
  BatchSlot& wanted = slot(next_take);
  if (!wanted.ready) {
    const auto since = std::chrono::steady_clock::now();
    if (next_claim == next_take) prepare(next_claim++, lock);
    await(wanted, lock);
    waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
  }
  wanted.ready = false;
  ++next_take;
  if (wanted.error) std::rethrow_exception(wanted.error);
  return &wanted.batch;
}

BatchPart part_of(const Batch& batch, std::int64_t which, std::int64_t parts) {
  assert(batch.count % parts == 0);
  const std::int64_t count = batch.count / parts, first = which * count;
  const std::int64_t values = static_cast<std::int64_t>(batch.images.size()) / std::max<std::int64_t>(1, batch.count);
  return {batch.images.data() + first * values, batch.labels.data() + first,
          batch.mixed.empty() ? nullptr : batch.mixed.data() + first, count};
}

Pipeline::Pipeline(const Dataset& dataset, const PipelineOptions& options)
    : state_(std::make_shared<State>(dataset, options)) {}

/// Tasks that have not begun are not waited for: where the system gives no thread they never do.
Pipeline::~Pipeline() {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->cancel(lock);
  state_->arena.reset();  // here, and not by a task that is the last to hold the state
}

std::int64_t Pipeline::batches() const {
  return state_->whole_epoch;
}

void Pipeline::start(std::int64_t epoch, std::int64_t done) {
  state_->begin(epoch, done);
}

const Batch* Pipeline::next() {
  return state_->take();
}

double Pipeline::wait_seconds() const {
  return state_->waited;
}

PipelineOptions training_pipeline(const DataOptions& data, const Normalization& normalization, std::int64_t batch,
                                  std::uint64_t seed) {
  PipelineOptions options = evaluation_pipeline(data, normalization, batch);
  options.shuffle = options.drop_last = options.transform = true;
  options.seed = seed;
  if (data.augment) options.augmentation = {data.crop_padding, data.flip};
  options.balance = data.balance;
  options.mixing = {data.mixup, data.cutmix};
  return options;
}

PipelineOptions evaluation_pipeline(const DataOptions& data, const Normalization& normalization, std::int64_t batch) {
  PipelineOptions options;
  options.batch = batch;
  options.normalization = normalization;
  // On a single processor background threads could only take turns with the step.
  options.workers = std::min<std::int64_t>(data.workers, available_threads() - 1);
  options.prefetch = data.prefetch;
  return options;
}

}  // namespace sluice
