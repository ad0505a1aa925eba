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
#include <condition_variable>
#include <exception>
#include <mutex>

#include "core/base/parallel.hpp"
#include "core/data/batch_maker.hpp"

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

struct BatchSlot : BatchInMaking {
  std::exception_ptr error;
  bool ready = false;
  // Where images are made one by one:
  std::atomic<std::int64_t> next_image{0};  // to be claimed
  bool shared = false;                      // others may make images, too
  std::int64_t helpers = 0;                 // others that do
};

}  // namespace

// Batch b since the start lives in slot b % slots. Batches are claimed in order, by a background task or by next()
// itself where none has got so far; a batch may be claimed once the one that had its slot was handed back.
struct Pipeline::State : std::enable_shared_from_this<Pipeline::State> {
  State(const Dataset& dataset, const PipelineOptions& options);

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
  void begin(std::int64_t epoch, std::int64_t done);
  void cancel(std::unique_lock<std::mutex>& lock);
  void enqueue(std::int64_t tasks, std::unique_lock<std::mutex>& lock);
  void prepare(std::int64_t number, std::unique_lock<std::mutex>& lock);
  void make_images(BatchSlot& slot);
  void share_out(BatchSlot& slot, std::unique_lock<std::mutex>& lock);
  void await(BatchSlot& slot, std::unique_lock<std::mutex>& lock);
  const Batch* take();

  BatchMaker maker;
  std::int64_t batches = 0;  // of the epoch, here, from where it was begun
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

Pipeline::State::State(const Dataset& dataset, const PipelineOptions& options)
    : maker(dataset, options), slots(static_cast<std::size_t>(has_background(options) ? options.prefetch + 1 : 1)) {
  assert(options.workers >= 0 && options.prefetch > 0);
  for (BatchSlot& each : slots) maker.reserve(each);
  if (has_background(options)) {
    arena = std::make_unique<tbb::task_arena>(static_cast<int>(options.workers), 0, tbb::task_arena::priority::high);
  }
}

void Pipeline::State::cancel(std::unique_lock<std::mutex>& lock) {
  next_claim = batches;
  changed.wait(lock, [this] { return filling == 0; });
}

void Pipeline::State::begin(std::int64_t epoch, std::int64_t done) {
  std::unique_lock<std::mutex> lock(mutex);
  cancel(lock);
  batches = maker.set_epoch(epoch, done);
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
  maker.begin(number, target);
  try {
    if (maker.one_by_one())
      share_out(target, lock);
    else
      maker.read_all(target);
    if (!target.error) maker.finish(target);
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

/// Makes images of a batch until all are claimed.
void Pipeline::State::make_images(BatchSlot& target) {
  try {
    for (std::int64_t i; (i = target.next_image.fetch_add(1)) < target.images();) maker.make(i, target);
  } catch (...) {
    target.next_image = target.images();
    const std::lock_guard<std::mutex> lock(mutex);
    if (!target.error) target.error = std::current_exception();
  }
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
  return state_->maker.whole_epoch();
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
