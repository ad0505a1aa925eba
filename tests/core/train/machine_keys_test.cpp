// What belongs to the machine is not taken from a checkpoint.
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/train/experiment.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

const char kTrained[] = R"([network]
input = 1x8x8
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 4
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
    config_ = Experiment(Config::parse(kTrained, "net.ini"), registry_).config.resolved();
  }
  Config stored(const std::vector<std::string>& overrides = {}) const {
    return Config::stored(config_, "a.h5", overrides);
  }
  Registry registry_;
  std::string config_;
};

TEST_F(MachineKeys, AreThoseOfTheCall) {
  const Experiment here(stored(), registry_);
  EXPECT_EQ(here.run.threads, 0);
  EXPECT_EQ(here.run.layout, ExecutorOptions::LayoutChoice::kAuto);
  EXPECT_EQ(here.run.dir, "");
  EXPECT_EQ(here.data.workers, DataOptions().workers);
  EXPECT_EQ(here.data.prefetch, DataOptions().prefetch);
  EXPECT_EQ(here.data.hdf5_memory_mib, DataOptions().hdf5_memory_mib);
  EXPECT_EQ(here.train.max_time, 0);
  EXPECT_EQ(here.log.interval, LogOptions().interval);
  const Experiment told(stored({"--run.threads=2", "--data.workers=4"}), registry_);
  EXPECT_EQ(told.run.threads, 2);
  EXPECT_EQ(told.data.workers, 4);
}

TEST_F(MachineKeys, NothingElseIsForgotten) {
  const Experiment here(stored(), registry_);
  EXPECT_EQ(here.run.seed, 11);
  EXPECT_EQ(here.train.epochs, 3);
  EXPECT_EQ(here.data.dir, "elsewhere");
  EXPECT_EQ(here.data.classes, 4);
}

TEST_F(MachineKeys, AreThoseOfTheCallWhereANetworkAloneIsWanted) {
  const ConfiguredNetwork here(stored(), registry_);
  EXPECT_EQ(here.run.threads, 0);
  EXPECT_EQ(here.data.workers, DataOptions().workers);
  EXPECT_EQ(here.run.seed, 11);
}

/// The text of the first error.
std::string refusal(Config config, const Registry& registry) {
  try {
    ConfiguredNetwork(std::move(config), registry);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(MachineKeys, ANetworkAlonePassesOverWhatItsCheckpointSaysToOthers) {
  const Config training = stored();
  ASSERT_NE(training.find("optimizer"), nullptr);
  EXPECT_EQ(refusal(Config::stored(config_ + "\n[of_a_later_sluice]\nkey = 1\n", "a.h5"), registry_), "");
  EXPECT_EQ(refusal(stored({"--optimizer.lr=1"}), registry_),
            "command line: [optimizer] lr: is not about the use of a trained network; leave it out");
  EXPECT_EQ(refusal(stored({"--optimiser.lr=1"}), registry_).rfind("command line: [optimiser] lr: unknown section", 0),
            0U);
}

TEST_F(MachineKeys, OfAConfigurationStay) {
  EXPECT_EQ(Experiment(Config::parse(kTrained, "net.ini"), registry_).run.threads, 3);
}

}  // namespace
}  // namespace sluice
