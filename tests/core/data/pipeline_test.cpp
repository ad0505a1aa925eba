// The pipeline: the same batches for any number of workers, from any starting point, each image once; failures arrive;
// nothing is allocated.
#include "core/data/pipeline.hpp"

#include <gmock/gmock.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "core/base/parallel.hpp"
#include "core/data/memory.hpp"
#include "core/data/order.hpp"
#include "tests/core/data/allocations.hpp"
#include "tests/core/data/files.hpp"

// Neither TBB nor OpenMP is built for the thread sanitizer: how tasks and memory change hands there looks like a race.
extern "C" const char* __tsan_default_suppressions() {
  return "race_top:tbb::detail\nrace:tbb::detail::d1::small_object_allocator\ncalled_from_lib:libtbb.so\nrace:omp_fn\n";
}

namespace sluice {
namespace {

constexpr ImageShape kShape = {3, 8, 6};

class PipelineTest : public ::testing::Test {
 protected:
  static Bytes images() {
    Bytes bytes;
    for (std::int64_t i = 0; i < 103; ++i) {
      for (std::int64_t j = 0; j < kShape.count(); ++j) bytes.push_back(test_byte(i, j));
    }
    return bytes;
  }
  static std::vector<std::int32_t> labels() {
    std::vector<std::int32_t> values;
    for (std::int32_t i = 0; i < 103; ++i) values.push_back(1000 + i);
    return values;
  }
  static PipelineOptions training() {
    PipelineOptions options;
    options.batch = 16;
    options.shuffle = options.drop_last = true;
    options.augmentation = {2, true};
    options.normalization = {{0.4, 0.5, 0.6}, {0.2, 0.3, 0.4}};
    options.seed = 11;
    return options;
  }
  static PipelineOptions evaluation() {
    PipelineOptions options;
    options.batch = 16;
    options.normalization = {{0.4, 0.5, 0.6}, {0.2, 0.3, 0.4}};
    return options;
  }
  /// All batches of an epoch behind its first `done` images.
  static std::vector<Batch> epoch(Pipeline& pipeline, std::int64_t number, std::int64_t done = 0) {
    std::vector<Batch> batches;
    pipeline.start(number, done);
    while (const Batch* batch = pipeline.next()) batches.push_back(*batch);
    EXPECT_EQ(pipeline.next(), nullptr);
    return batches;
  }

  const MemoryDataset set_{{"set", 103, kShape, 2000, {}}, images(), labels()};
  // As many threads as a test asks for, also on a small machine.
  const tbb::global_control threads_{tbb::global_control::max_allowed_parallelism, 6};
};

void expect_equal(const std::vector<Batch>& batches, const std::vector<Batch>& expected) {
  ASSERT_EQ(batches.size(), expected.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(batches[i].images, expected[i].images);
    EXPECT_EQ(batches[i].labels, expected[i].labels);
    EXPECT_EQ(batches[i].indices, expected[i].indices);
    EXPECT_EQ(batches[i].count, expected[i].count);
    EXPECT_EQ(batches[i].epoch, expected[i].epoch);
    EXPECT_EQ(batches[i].first, expected[i].first);
  }
}

TEST_F(PipelineTest, ABatchIsTheOrderTheImagesAndTheChoicesOfItsSamples) {
  Pipeline pipeline(set_, training());
  const std::vector<Batch> batches = epoch(pipeline, 4);
  ASSERT_EQ(batches.size(), 6u);
  EpochOrder order(set_, true, 11);
  order.set_epoch(4);
  const PixelPass pass(kShape, training().normalization, training().augmentation);
  std::vector<float> expected(static_cast<std::size_t>(kShape.count()));
  const Bytes bytes = images();
  for (std::size_t b = 0; b < batches.size(); ++b) {
    EXPECT_EQ(batches[b].count, 16);
    EXPECT_EQ(batches[b].epoch, 4);
    EXPECT_EQ(batches[b].first, static_cast<std::int64_t>(b) * 16);
    for (std::size_t i = 0; i < 16; ++i) {
      const std::int64_t index = order.indices()[b * 16 + i];
      ASSERT_EQ(batches[b].indices[i], index);
      ASSERT_EQ(batches[b].labels[i], 1000 + index);
      Random random(11, Purpose::kAugment, 4, static_cast<std::uint32_t>(index));
      pass.apply(bytes.data() + index * kShape.count(), pass.choose(random), expected.data());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                             batches[b].images.begin() + static_cast<std::ptrdiff_t>(i * expected.size())));
    }
  }
}

TEST_F(PipelineTest, AnyNumberOfWorkersGivesTheSameBatches) {
  PipelineOptions options = training();
  options.workers = 0;
  Pipeline plain(set_, options);
  const std::vector<Batch> first = epoch(plain, 0), second = epoch(plain, 1);
  EXPECT_NE(first[0].images, second[0].images);
  for (const std::int64_t workers : {1, 2, 4}) {
    for (const std::int64_t prefetch : {1, 3, 10}) {
      SCOPED_TRACE(concat(workers, " workers, prefetch ", prefetch));
      options.workers = workers;
      options.prefetch = prefetch;
      Pipeline pipeline(set_, options);
      expect_equal(epoch(pipeline, 1), second);
      expect_equal(epoch(pipeline, 0), first);
    }
  }
}

TEST_F(PipelineTest, ResumingInsideAnEpochGoesOnAsIfNothingHadHappened) {
  Pipeline whole(set_, training());
  const std::vector<Batch> batches = epoch(whole, 2);
  for (std::int64_t first = 0; first <= 6; ++first) {
    Pipeline resumed(set_, training());
    expect_equal(epoch(resumed, 2, 16 * first), std::vector<Batch>(batches.begin() + first, batches.end()));
  }
}

TEST_F(PipelineTest, AnEpochGoesOnWithBatchesOfAnotherSizeWithTheImagesThatAreLeft) {
  EpochOrder order(set_, true, 11);
  order.set_epoch(2);
  for (const std::int64_t batch : {1, 5, 16, 32, 60}) {
    PipelineOptions options = training();
    options.batch = batch;
    Pipeline resumed(set_, options);
    std::vector<std::int64_t> seen;
    for (const Batch& each : epoch(resumed, 2, 48)) {
      EXPECT_EQ(each.count, batch);
      EXPECT_EQ(each.first, 48 + static_cast<std::int64_t>(seen.size()));
      seen.insert(seen.end(), each.indices.begin(), each.indices.end());
    }
    const std::int64_t whole = (103 - 48) / batch * batch;
    EXPECT_EQ(seen, std::vector<std::int64_t>(order.indices().begin() + 48, order.indices().begin() + 48 + whole));
    EXPECT_EQ(static_cast<std::int64_t>(epoch(resumed, 3).size()), resumed.batches());
  }
}

TEST_F(PipelineTest, AnEpochMayBeLeftAtAnyTime) {
  Pipeline pipeline(set_, training());
  const std::vector<Batch> expected = epoch(pipeline, 1);
  for (int taken = 0; taken < 5; ++taken) {
    pipeline.start(0);
    for (int i = 0; i < taken; ++i) ASSERT_NE(pipeline.next(), nullptr);
    expect_equal(epoch(pipeline, 1), expected);
  }
  pipeline.start(0);
  pipeline.next();  // and is destroyed with batches under way
}

TEST_F(PipelineTest, EvaluationSeesEveryImageOnceInOrder) {
  PipelineOptions options = evaluation();
  options.workers = 4;
  Pipeline pipeline(set_, options);
  EXPECT_EQ(pipeline.batches(), 7);
  std::int64_t next = 0;
  for (const Batch& batch : epoch(pipeline, 0)) {
    EXPECT_EQ(batch.first, next);
    EXPECT_EQ(batch.images.size(), static_cast<std::size_t>(batch.count * kShape.count()));
    EXPECT_EQ(batch.labels.size(), static_cast<std::size_t>(batch.count));
    for (std::int64_t i = 0; i < batch.count; ++i) {
      ASSERT_EQ(batch.indices[static_cast<std::size_t>(i)], next++);
      const double first_byte = test_byte(next - 1, 0);
      ASSERT_EQ(batch.images[static_cast<std::size_t>(i * kShape.count())],
                static_cast<float>((first_byte / 255 - 0.4) / 0.2));
    }
  }
  EXPECT_EQ(next, 103);
}

/// Also where an image is mixed with another rank's.
TEST_F(PipelineTest, RanksShareEachBatch) {
  for (const int variant : {0, 1, 2, 3}) {
    SCOPED_TRACE(variant);
    const bool keep_last = variant % 2 == 1;
    PipelineOptions options = training();
    if (variant >= 2) options.mixing = {0.5, 1};
    options.drop_last = !keep_last;
    Pipeline alone(set_, options);
    const std::vector<Batch> expected = epoch(alone, 0);
    options.world = 10;  // the last batch has 7 images, so that some ranks get none of it
    std::vector<Batch> joined(expected.size());
    for (options.rank = 0; options.rank < options.world; ++options.rank) {
      Pipeline pipeline(set_, options);
      const std::vector<Batch> mine = epoch(pipeline, 0);
      ASSERT_EQ(mine.size(), expected.size());
      for (std::size_t b = 0; b < mine.size(); ++b) {
        EXPECT_EQ(mine[b].first, expected[b].first + joined[b].count);
        joined[b].count += mine[b].count;
        joined[b].images.insert(joined[b].images.end(), mine[b].images.begin(), mine[b].images.end());
        joined[b].labels.insert(joined[b].labels.end(), mine[b].labels.begin(), mine[b].labels.end());
        joined[b].indices.insert(joined[b].indices.end(), mine[b].indices.begin(), mine[b].indices.end());
        joined[b].epoch = mine[b].epoch;
        joined[b].first = expected[b].first;
      }
    }
    expect_equal(joined, expected);
  }
}

TEST_F(PipelineTest, RanksShareEachPartOfABatch) {
  PipelineOptions options = training();
  options.mixing = {0.5, 1};
  Pipeline alone(set_, options);
  const std::vector<Batch> expected = epoch(alone, 0);
  options.world = 3;
  options.parts = 4;
  for (options.rank = 0; options.rank < options.world; ++options.rank) {
    SCOPED_TRACE(options.rank);
    Pipeline pipeline(set_, options);
    const std::vector<Batch> mine = epoch(pipeline, 0);
    ASSERT_EQ(mine.size(), expected.size());
    const std::int64_t from = 4 * options.rank / 3, count = 4 * (options.rank + 1) / 3 - from;
    for (std::size_t b = 0; b < mine.size(); ++b) {
      ASSERT_EQ(mine[b].count, 4 * count);
      for (std::int64_t part = 0; part < 4; ++part) {
        const BatchPart found = part_of(mine[b], part, 4), whole = part_of(expected[b], part, 4);
        for (std::int64_t i = 0; i < count * kShape.count(); ++i)
          ASSERT_EQ(found.images[i], whole.images[from * kShape.count() + i]);
        for (std::int64_t i = 0; i < count; ++i) {
          EXPECT_EQ(found.labels[i], whole.labels[from + i]);
          EXPECT_EQ(found.mixed[i].other, whole.mixed[from + i].other);
          EXPECT_EQ(found.mixed[i].share, whole.mixed[from + i].share);
        }
      }
    }
  }
}

TEST_F(PipelineTest, NothingIsAllocatedAfterTheFirstEpoch) {
  for (const bool evaluate : {false, true}) {  // evaluation has a last batch that is smaller
    PipelineOptions options = evaluate ? evaluation() : training();
    options.workers = 2;
    Pipeline pipeline(set_, options);
    std::set<const float*> buffers;
    long before = 0;
    for (std::int64_t i = 0; i < 5; ++i) {
      pipeline.start(i);
      while (const Batch* batch = pipeline.next()) {
        if (i == 0)
          buffers.insert(batch->images.data());
        else
          EXPECT_EQ(buffers.count(batch->images.data()), 1u);
      }
      if (i == 0) before = count_allocations();
    }
    EXPECT_EQ(count_allocations(), before);
    EXPECT_LE(static_cast<std::int64_t>(buffers.size()), options.prefetch + 1);
  }
}

/// Fails, or takes its time, when image 40 is read.
class Troubled : public Dataset {
 public:
  Troubled() : Dataset({"troubled", 103, kShape, 1, {}}) {}
  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* to, std::int32_t* labels) const override {
    ++reads;
    std::fill(to, to + count * kShape.count(), std::uint8_t{1});
    std::fill(labels, labels + count, 0);
    for (std::int64_t i = 0; i < count; ++i) {
      if (indices[i] != 40) continue;
      if (fails) throw Error(ExitCode::kData, "image 40 cannot be read");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  std::atomic<bool> fails{true};
  mutable std::atomic<int> reads{0};
};

TEST_F(PipelineTest, AFailureArrivesWithItsBatch) {
  Troubled set;
  for (const std::int64_t workers : {0, 1, 4}) {
    set.fails = true;
    PipelineOptions options = evaluation();
    options.workers = workers;
    Pipeline pipeline(set, options);
    pipeline.start(0);
    EXPECT_NE(pipeline.next(), nullptr);
    EXPECT_NE(pipeline.next(), nullptr);
    EXPECT_EQ(error_text([&] { pipeline.next(); }), "image 40 cannot be read");
    set.fails = false;
    EXPECT_EQ(epoch(pipeline, 0).size(), 7u);
  }
}

TEST_F(PipelineTest, WaitingIsMeasured) {
  Troubled set;
  set.fails = false;
  PipelineOptions options = evaluation();
  options.workers = 0;
  Pipeline pipeline(set, options);
  EXPECT_EQ(pipeline.wait_seconds(), 0);
  epoch(pipeline, 0);
  EXPECT_GE(pipeline.wait_seconds(), 0.05);
  EXPECT_LT(pipeline.wait_seconds(), 5);
}

TEST_F(PipelineTest, PreparesAheadButNotTooFar) {
  Troubled set;
  set.fails = false;
  PipelineOptions options = evaluation();
  options.prefetch = 2;
  Pipeline pipeline(set, options);
  pipeline.start(0);
  const auto reads_settle_at = [&](int expected) {
    for (int i = 0; i < 2000 && set.reads < expected; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return set.reads == expected;
  };
  EXPECT_TRUE(reads_settle_at(3)) << set.reads;
  pipeline.next();
  EXPECT_TRUE(reads_settle_at(3)) << set.reads;  // the first batch is still in use
  pipeline.next();
  EXPECT_TRUE(reads_settle_at(4)) << set.reads;
}

TEST_F(PipelineTest, WorksAloneWhereTbbMayUseOneThreadOnly) {
  PipelineOptions options = evaluation();
  Pipeline free(set_, options);
  const std::vector<Batch> expected = epoch(free, 0);
  const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
  options.workers = 4;
  testing::internal::CaptureStderr();
  Pipeline limited(set_, options);
  expect_equal(epoch(limited, 0), expected);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(PipelineTest, NobodyWaitsForTasksThatNoThreadRuns) {
  Pipeline free(set_, training());
  const std::vector<Batch> expected = epoch(free, 0);
  const tbb::global_control two(tbb::global_control::max_allowed_parallelism, 2);
  static std::atomic<bool> busy, may_end;  // the thread sanitizer does not see that TBB hands over what was made
  busy = may_end = false;
  tbb::task_arena arena(1, 0, tbb::task_arena::priority::high);
  arena.enqueue([] {
    busy = true;
    while (!may_end) std::this_thread::yield();
    busy = false;
  });
  while (!busy) std::this_thread::yield();
  PipelineOptions options = training();
  options.workers = 1;
  {
    Pipeline pipeline(set_, options);
    expect_equal(epoch(pipeline, 0), expected);
  }
  may_end = true;
  while (busy) std::this_thread::yield();
}

TEST_F(PipelineTest, BeforeTheFirstEpochThereIsNothing) {
  Pipeline pipeline(set_, training());
  EXPECT_EQ(pipeline.next(), nullptr);
}

TEST_F(PipelineTest, TooFewImages) {
  PipelineOptions options = training();
  options.batch = 104;
  EXPECT_EQ(error_text([&] { Pipeline(set_, options); }),
            "set: 103 images do not fill a batch of 104; use a smaller batch");
  options.drop_last = false;
  Pipeline pipeline(set_, options);
  EXPECT_EQ(epoch(pipeline, 0).size(), 1u);
}

TEST_F(PipelineTest, ImagesAreMixedTheSameForAnyNumberOfWorkersAndAfterAResume) {
  PipelineOptions options = training();
  Pipeline plain(set_, options);
  const std::vector<Batch> unmixed = epoch(plain, 1);
  options.mixing = {0.5, 1};
  options.workers = 0;
  Pipeline alone(set_, options);
  const std::vector<Batch> mixed = epoch(alone, 1);
  EXPECT_TRUE(unmixed[0].mixed.empty());
  EXPECT_NE(mixed[0].images, unmixed[0].images);
  for (const std::int64_t workers : {1, 4}) {
    options.workers = workers;
    Pipeline pipeline(set_, options);
    expect_equal(epoch(pipeline, 1), mixed);
    expect_equal(epoch(pipeline, 1, 32), std::vector<Batch>(mixed.begin() + 2, mixed.end()));
  }
  // The mixer gets the augmented images of the batch, and the first once more.
  Batch again = unmixed[0];
  again.indices.push_back(again.indices[0]);
  again.labels.push_back(again.labels[0]);
  again.images.insert(again.images.end(), unmixed[0].images.begin(), unmixed[0].images.begin() + kShape.count());
  std::vector<std::int64_t> others(16);
  std::iota(others.begin(), others.end(), 1);
  Mixer(kShape, options.mixing, options.seed)
      .apply(1, again.indices, others, again.images.data(), again.labels, again.mixed);
  again.images.resize(unmixed[0].images.size());
  again.labels.pop_back();
  EXPECT_EQ(again.images, mixed[0].images);
  EXPECT_EQ(again.labels, mixed[0].labels);
  ASSERT_EQ(mixed[0].mixed.size(), 16u);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(again.mixed[i].share, mixed[0].mixed[i].share) << i;
}

TEST_F(PipelineTest, AnImageThatIsThereAgainInABalancedEpochLooksOtherwise) {
  PipelineOptions options = training();
  options.balance = true;
  std::vector<std::int32_t> two_classes(103, 0);
  two_classes[7] = 1;
  const MemoryDataset set({"set", 103, kShape, 2, {}}, images(), two_classes);
  Pipeline pipeline(set, options);
  std::set<std::vector<float>> looks;
  std::int64_t times = 0;
  for (const Batch& batch : epoch(pipeline, 0)) {
    for (std::size_t i = 0; i < batch.indices.size(); ++i) {
      if (batch.indices[i] != 7) continue;
      ++times;
      const auto image = batch.images.begin() + static_cast<std::ptrdiff_t>(i) * kShape.count();
      looks.emplace(image, image + kShape.count());
    }
  }
  EXPECT_GT(times, 40);
  EXPECT_GT(looks.size(), 15U) << "of 50 crops and mirrors";
}

TEST_F(PipelineTest, OptionsFromTheDataSection) {
  DataOptions data;
  data.augment = true;
  data.crop_padding = 3;
  data.flip = false;
  data.workers = 2;
  data.prefetch = 7;
  data.balance = true;
  data.mixup = 0.25;
  data.cutmix = 0.75;
  const PipelineOptions train = training_pipeline(data, {{0.5}, {0.25}}, 64, 9);
  EXPECT_TRUE(train.shuffle && train.drop_last && train.balance);
  EXPECT_EQ(train.augmentation.crop_padding, 3);
  EXPECT_FALSE(train.augmentation.flip);
  EXPECT_EQ(train.batch, 64);
  EXPECT_EQ(train.mixing.mixup, 0.25);
  EXPECT_EQ(train.mixing.cutmix, 0.75);
  EXPECT_EQ(train.seed, 9u);
  EXPECT_EQ(train.workers, std::min(2, available_threads() - 1));
  const PipelineOptions test = evaluation_pipeline(data, {{0.5}, {0.25}}, 64);
  EXPECT_FALSE(test.shuffle || test.drop_last || test.balance || test.augmentation.flip);
  EXPECT_EQ(test.augmentation.crop_padding, 0);
  EXPECT_FALSE(test.mixing.enabled());
  EXPECT_EQ(test.prefetch, 7);
  EXPECT_EQ(test.normalization.mean[0], 0.5);
  data.augment = false;
  EXPECT_EQ(training_pipeline(data, {{0.5}, {0.25}}, 64, 9).augmentation.crop_padding, 0);
}

}  // namespace
}  // namespace sluice
