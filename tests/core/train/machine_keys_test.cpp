// What belongs to the machine is not taken from a checkpoint.
#include <gtest/gtest.h>

#include "core/train/training_checkpoint.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

const char kTrained[] = R"([network]
input = 1x8x8
[layer.pool]
type = global_pool
[layer.fc]
type = linear
channels = 4
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[data]
kind = synthetic
dir = elsewhere
classes = 4
synthetic_image = 1x8x8
workers = 7
prefetch = 9
hdf5_memory_mib = 5
[train]
epochs = 3
max_time = 1h
[run]
dir = there
seed = 11
threads = 3
layout = nhwc
[log]
interval = 0.5
)";

class MachineKeys : public testing::Test {
 protected:
  MachineKeys() {
    register_layers(registry_);
    checkpoint_.file = "a.h5";
    checkpoint_.config = Experiment(Config::parse(kTrained, "net.ini"), registry_).config.resolved();
  }
  Registry registry_;
  Checkpoint checkpoint_;
};

TEST_F(MachineKeys, AreThoseOfTheCall) {
  const Experiment here = trained_experiment(checkpoint_, registry_);
  EXPECT_EQ(here.run.threads, 0);
  EXPECT_EQ(here.run.layout, ExecutorOptions::LayoutChoice::kAuto);
  EXPECT_EQ(here.run.dir, "");
  EXPECT_EQ(here.data.workers, DataOptions().workers);
  EXPECT_EQ(here.data.prefetch, DataOptions().prefetch);
  EXPECT_EQ(here.data.hdf5_memory_mib, DataOptions().hdf5_memory_mib);
  EXPECT_EQ(here.train.max_time, 0);
  EXPECT_EQ(here.log.interval, LogOptions().interval);
  const Experiment told = trained_experiment(checkpoint_, registry_, {"--run.threads=2", "--data.workers=4"});
  EXPECT_EQ(told.run.threads, 2);
  EXPECT_EQ(told.data.workers, 4);
}

TEST_F(MachineKeys, NothingElseIsForgotten) {
  const Experiment here = trained_experiment(checkpoint_, registry_);
  EXPECT_EQ(here.run.seed, 11);
  EXPECT_EQ(here.train.epochs, 3);
  EXPECT_EQ(here.data.dir, "elsewhere");
  EXPECT_EQ(here.data.classes, 4);
}

TEST_F(MachineKeys, OfAConfigurationStay) {
  EXPECT_EQ(Experiment(Config::parse(kTrained, "net.ini"), registry_).run.threads, 3);
}

}  // namespace
}  // namespace sluice
