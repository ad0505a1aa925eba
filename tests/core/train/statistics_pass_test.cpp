// Running statistics that are measured anew: against the statistics of single batches.
#include "core/train/statistics_pass.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/train/training_step.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using ::testing::Contains;
using ::testing::FloatNear;
using ::testing::Not;
using ::testing::Pointwise;

/// Of the training batches, six in an epoch, in two parts each.
std::string configuration(const std::string& momentum) {
  return "[network]\ninput = 2x6x5\n[layer.bn]\ntype = batchnorm\nmomentum = " + momentum +
         "\n[layer.conv]\ntype = quantized_conv\nchannels = 4\nkernel = 3\nweight_bits = 4\nactivation_bits = 4\n"
         "[layer.drop]\ntype = dropout\n[layer.bn2]\ntype = batchnorm\nmomentum = " +
         momentum +
         "\n[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 3\n[layer.loss]\n"
         "type = softmax_cross_entropy\nfrom = fc, labels\n[data]\nkind = synthetic\nsynthetic_image = 2x6x5\n"
         "synthetic_size = 56\nsynthetic_test_size = 8\nclasses = 3\nmean = 0.5\nstd = 0.25\naugment = yes\n"
         "crop_padding = 1\n[train]\nbatch = 8\naccumulate = 2\n[run]\nthreads = 1\nseed = 3\n";
}

struct Training {
  explicit Training(const std::string& momentum) {
    register_layers(registry);
    experiment = std::make_unique<Experiment>(Config::parse(configuration(momentum), "net.ini"), registry);
    network().initialise(5);
    data = open_training_data(*experiment, nullptr, false, {});
    executor = std::make_unique<Executor>(
        network(), experiment->executor_options(Mode::kTraining, experiment->train.part_batch()));
    executor->refresh();
  }
  Network& network() const { return experiment->network(); }
  PipelineOptions batches() const { return training_batches(*experiment, data.normalization, *ranks); }
  std::vector<float> buffers() const {
    return {network().buffer_data(), network().buffer_data() + network().buffer_count()};
  }
  float& buffer(const std::string& path) const {
    for (const StateBuffer& each : network().buffers())
      if (each.path() == path) return network().buffer_data()[each.offset];
    throw std::runtime_error("no buffer " + path);
  }
  void measure(std::int64_t epoch, std::int64_t count) const {
    StatisticsPass(*executor, network(), *data.sets.train, batches(), experiment->train.accumulate, *ranks)
        .run(epoch, count);
  }

  Registry registry;
  std::unique_ptr<Experiment> experiment;
  TrainingData data;
  std::unique_ptr<Communicator> ranks = single_process();
  std::unique_ptr<Executor> executor;
};

/// With a momentum of 1 the running statistics are those of the batch.
std::vector<float> mean_of_batches(std::int64_t epoch, std::int64_t count) {
  const Training plain("1");
  std::vector<double> sums(plain.buffers().size(), 0.0);
  Pipeline pipeline(*plain.data.sets.train, plain.batches());
  pipeline.start(epoch);
  for (std::int64_t i = 0; i < 2 * count; i += 2) {
    const Batch* const batch = pipeline.next();
    for (std::int64_t part = 0; part < 2; ++part) {
      plain.buffer("conv/src_scale") = 0.75F;
      const BatchPart images = part_of(*batch, part, 2);
      plain.executor->lend_batch(images.images, images.labels);
      plain.executor->forward(static_cast<std::uint64_t>(i + part));
      const std::vector<float> buffers = plain.buffers();
      for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += static_cast<double>(buffers[k]);
    }
  }
  plain.buffer("conv/src_scale") = 0.75F;
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(2 * count)));
  return means;
}

TEST(StatisticsPass, AreMeansInWhichBatchesCountAlike) {
  for (const std::int64_t count : {1, 3}) {
    SCOPED_TRACE(count);
    const Training training("0.1");
    training.buffer("bn/running_mean") = 77;  // what was before counts nothing
    training.buffer("conv/src_scale") = 0.75F;
    training.measure(2, count);
    const float scale = training.buffer("conv/src_scale");
    EXPECT_EQ(scale, 0.75F);  // no running statistic of a normalisation
    std::vector<float> expected = mean_of_batches(2, count), found = training.buffers();
    EXPECT_THAT(found, Not(Contains(77.0F)));
    for (const StateBuffer& each : training.network().buffers()) {
      if (each.name == "src_scale") expected[static_cast<std::size_t>(each.offset)] = scale;
    }
    EXPECT_THAT(found, Pointwise(FloatNear(2e-5F), expected));
  }
}

TEST(StatisticsPass, DependOnTheEpochAndEndWithIt) {
  const auto measured = [](std::int64_t epoch, std::int64_t count) {
    const Training training("0.1");
    training.measure(epoch, count);
    return training.buffers();
  };
  EXPECT_EQ(measured(1, 7), measured(1, 7));
  EXPECT_NE(measured(1, 7), measured(2, 7));
  EXPECT_EQ(measured(1, 7), measured(1, 1000));  // 56 images are 7 batches
  EXPECT_NE(measured(1, 6), measured(1, 7));
}

TEST(StatisticsPass, CountsWhatTrainingCounts) {
  const Training training("0.1"), plain("0.1");
  const std::vector<float> before = training.buffers();
  const CountsByNode counts = StatisticsPass(*training.executor, training.network(), *training.data.sets.train,
                                             training.batches(), training.experiment->train.accumulate, *training.ranks)
                                  .counts(2, 3);
  EXPECT_EQ(training.buffers(), before);
  EXPECT_EQ(training.executor->statistics().count(Role::kImages), 0);
  Pipeline pipeline(*plain.data.sets.train, plain.batches());
  pipeline.start(2);
  for (std::uint64_t i = 0; i < 6; i += 2) {
    const Batch* const batch = pipeline.next();
    for (std::uint64_t part = 0; part < 2; ++part) {
      const BatchPart images = part_of(*batch, static_cast<std::int64_t>(part), 2);
      plain.executor->lend_batch(images.images, images.labels);
      plain.executor->forward(i + part);
    }
  }
  EXPECT_EQ(plain.executor->statistics().count(Role::kImages), 24);
  EXPECT_EQ(counts, plain.executor->statistics().counts_by_node());
}

TEST(StatisticsPass, LeavesWhatTheEpochHasCounted) {
  const Training training("0.1");
  Pipeline pipeline(*training.data.sets.train, training.batches());
  pipeline.start(0);
  const BatchPart images = part_of(*pipeline.next(), 0, 2);
  training.executor->lend_batch(images.images, images.labels);
  training.executor->forward();
  training.measure(0, 4);
  EXPECT_EQ(training.executor->statistics().count(Role::kImages), 4);
}

}  // namespace
}  // namespace sluice
