// Results that take over the memory of their source, and those that must not.
#include <gtest/gtest.h>

#include "core/graph/executor.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// A network of the given layers with an executor for two images of 4x6x6.
struct Subject {
  Subject(const std::string& layers, Mode mode) {
    register_layers(registry);
    Config config = Config::parse("[network]\ninput = 4x6x6\n" + layers, "net.ini");
    network = std::make_unique<Network>(config, registry);
    ExecutorOptions options;
    options.mode = mode;
    options.batch = 2;
    executor = std::make_unique<Executor>(*network, options);
  }
  const void* memory(const std::string& layer) const { return executor->result(network->find(layer)).data; }

  Registry registry;
  std::unique_ptr<Network> network;
  std::unique_ptr<Executor> executor;
};

const std::string kPool = "[layer.pool]\ntype = max_pool\nkernel = 2\n";
const std::string kDropout = "[layer.dropout]\ntype = dropout\n";
const std::string kPact = "[layer.pact]\ntype = pact_relu\n";
const std::string kEnd =
    "[layer.fc]\ntype = linear\nfeatures = 3\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";

TEST(InPlace, InferenceWritesOverASourceThatNobodyReadsLater) {
  const Subject s(kPool + kDropout + kPact + kEnd, Mode::kInference);
  EXPECT_EQ(s.memory("dropout"), s.memory("pool"));
  EXPECT_EQ(s.memory("pact"), s.memory("pool"));
}

TEST(InPlace, ASourceWithALaterReaderStays) {
  const Subject s(kPool + kDropout + kPact + "[layer.join]\ntype = concat\nfrom = pact, pool\n" + kEnd,
                  Mode::kInference);
  EXPECT_NE(s.memory("dropout"), s.memory("pool"));
  EXPECT_EQ(s.memory("pact"), s.memory("dropout"));
}

TEST(InPlace, TheInputStays) {
  const Subject s(kDropout + kEnd, Mode::kInference);
  EXPECT_NE(s.memory("dropout"), s.executor->result(kDataSource).data);
}

TEST(InPlace, TrainingKeepsWhatBackwardReads) {
  // Nobody's backward reads the result of conv; that of pact_relu reads its source.
  const Subject s("[layer.conv]\ntype = conv\nchannels = 4\nkernel = 1\n" + kDropout + kPact + kEnd, Mode::kTraining);
  EXPECT_EQ(s.memory("dropout"), s.memory("conv"));
  EXPECT_NE(s.memory("pact"), s.memory("dropout"));
}

TEST(InPlace, FlattenOfSeveralPixelsMovesThem) {
  const Subject pixel("[layer.pool]\ntype = max_pool\nkernel = 6\n[layer.flatten]\ntype = flatten\n" + kEnd,
                      Mode::kInference);
  EXPECT_EQ(pixel.memory("flatten"), pixel.memory("pool"));  // one pixel: the row is the image
  const Subject pixels(kPool + "[layer.flatten]\ntype = flatten\n" + kEnd, Mode::kInference);
  EXPECT_NE(pixels.memory("flatten"), pixels.memory("pool"));
}

}  // namespace
}  // namespace sluice
