// Gated networks that begin with the weights of dense ones.
#include "core/model/converted_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/graph/executor.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kBatch = 3;

std::string text_of(const std::string& layers) {
  return concat("[network]\ninput = 8x5x6\n", layers,
                "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 3\n");
}

/// Two convolutions of this type, with batch normalisations behind them where `norm` is their name.
std::string layers_of(const std::string& type, const std::string& keys, const std::string& norm) {
  std::string text;
  for (const std::string name : {"a", "b"}) {
    text += concat("[layer.", name, "]\ntype = ", type, "\nchannels = 12\nkernel = 3\npad = 1\n", keys);
    if (!norm.empty()) text += concat("[layer.", name, norm, "]\ntype = batchnorm\n");
    text += concat("[layer.", name, "_relu]\ntype = relu\n");
  }
  return text_of(text);
}

/// Random weights and running statistics.
void fill(Network& network) {
  network.initialise(5);
  Random random(7, Purpose::kTest);
  for (const Parameter& p : network.parameters()) {
    for (std::int64_t i = 0; p.group == "norm" && i < p.shape.count(); ++i)
      network.parameter_data()[p.offset + i] = static_cast<float>(1 + 0.3 * random.normal());
  }
  for (const StateBuffer& b : network.buffers()) {
    for (std::int64_t i = 0; i < b.shape.count(); ++i)
      network.buffer_data()[b.offset + i] = static_cast<float>(b.initial + 0.5 * random.uniform());
  }
}

/// What a network has in common with another one.
void copy_common(const Network& from, Network& to) {
  for (const Parameter& target : to.parameters()) {
    for (const Parameter& p : from.parameters()) {
      if (p.path() == target.path())
        std::copy_n(from.parameter_data() + p.offset, p.shape.count(), to.parameter_data() + target.offset);
    }
  }
  for (const StateBuffer& target : to.buffers()) {
    for (const StateBuffer& b : from.buffers()) {
      if (b.path() == target.path())
        std::copy_n(from.buffer_data() + b.offset, b.shape.count(), to.buffer_data() + target.offset);
    }
  }
}

const float* values_of(const Network& network, const std::string& path) {
  for (const Parameter& p : network.parameters()) {
    if (p.path() == path) return network.parameter_data() + p.offset;
  }
  for (const StateBuffer& b : network.buffers()) {
    if (b.path() == path) return network.buffer_data() + b.offset;
  }
  ADD_FAILURE() << "no tensor " << path;
  return nullptr;
}

std::vector<double> logits(Network& network, bool skips) {
  ExecutorOptions options;
  options.mode = Mode::kInference;
  options.batch = kBatch;
  options.skip = skips;
  Executor executor(network, options);
  std::vector<float> images(static_cast<std::size_t>(network.input_shape(kBatch).count()));
  Random random(3, Purpose::kTest);
  for (float& x : images) x = static_cast<float>(random.normal());
  executor.set_batch(images.data(), nullptr);
  executor.refresh();
  executor.forward();
  return to_array(executor.logits()).values;
}

struct OpenCase {
  const char *name, *keys, *norm;  ///< of the gated layers
};

void PrintTo(const OpenCase& c, std::ostream* out) {
  *out << c.name;
}

class ConvertedWeights : public ::testing::TestWithParam<OpenCase> {};

TEST_P(ConvertedWeights, AllOpenTheNetworkIsTheDenseOne) {
  const GatedNetwork dense(layers_of("conv", "", "_norm"));
  const GatedNetwork gated(layers_of("cg_conv", concat("threshold_init = -1000\n", GetParam().keys), GetParam().norm));
  fill(*dense.network);
  gated.network->initialise(1);
  EXPECT_TRUE(GetParam().keys[0] == '\0' || has_own_forms(*gated.network));
  copy_common(*dense.network, *gated.network);
  convert_weights(*dense.network, *gated.network);
  const std::vector<double> want = logits(*dense.network, false);
  for (const bool skips : {false, true}) {
    const std::vector<double> got = logits(*gated.network, skips);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5 * (1 + std::abs(want[i]))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, ConvertedWeights,
                         ::testing::Values(OpenCase{"plain", "", "_norm"},
                                           OpenCase{"shuffled", "shuffle = yes\n", "_norm"},
                                           OpenCase{"shuffled_in_chunks", "shuffle = yes\nown_chunk = yes\n", "_norm"},
                                           OpenCase{"two_norms", "two_norms = yes\n", ""},
                                           OpenCase{"another_eps", "two_norms = yes\ngate_eps = 0.01\n", ""},
                                           OpenCase{"all", "shuffle = yes\ntwo_norms = yes\n", ""}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ConvertWeights, BothNormsAreTheDenseOne) {
  const GatedNetwork dense(layers_of("conv", "", "_norm"));
  const GatedNetwork gated(layers_of("cg_conv", "two_norms = yes\nshuffle = yes\n", ""));
  fill(*dense.network);
  gated.network->initialise(1);
  copy_common(*dense.network, *gated.network);
  const std::vector<ConvertedLayer> converted = convert_weights(*dense.network, *gated.network);
  ASSERT_EQ(converted.size(), 2U);
  EXPECT_EQ(converted[1].layer, "b");
  EXPECT_EQ(converted[1].norm, "b_norm");
  EXPECT_TRUE(converted[1].reordered);
  EXPECT_EQ(converted[1].set, (std::vector<std::string>{"b/full_weight", "b/base_weight", "b/full_bias", "b/base_bias",
                                                        "b/full_running_mean", "b/full_running_var"}));
  EXPECT_EQ(converted[1].taken,
            (std::vector<std::string>{"b_norm/weight", "b_norm/bias", "b_norm/running_mean", "b_norm/running_var"}));
  for (const std::string layer : {"a", "b"}) {
    for (const std::string name : {"weight", "bias", "running_mean", "running_var"}) {
      const float* const want = values_of(*dense.network, concat(layer, "_norm/", name));
      const float* const full = values_of(*gated.network, concat(layer, "/full_", name));
      for (int c = 0; c < 12; ++c) EXPECT_EQ(full[c], want[c]) << layer << " " << name << " " << c;
      if (name[0] == 'r') continue;
      const float* const base = values_of(*gated.network, concat(layer, "/base_", name));
      for (int c = 0; c < 12; ++c) EXPECT_EQ(base[c], want[c]) << layer << " " << name << " " << c;
    }
  }
}

TEST(ConvertWeights, LeavesWhatIsInTheRightForm) {
  const std::string keys = "shuffle = yes\n";
  const GatedNetwork before(layers_of("cg_conv", keys, "_norm")), after(layers_of("cg_conv", keys, "_norm"));
  const GatedNetwork doubled(layers_of("cg_conv", "two_norms = yes\n", "_norm"));
  fill(*before.network);
  EXPECT_TRUE(convert_weights(*before.network, *after.network).empty());
  // A network that has the normalisation itself applies it.
  const GatedNetwork dense(layers_of("conv", "", "_norm"));
  EXPECT_TRUE(convert_weights(*dense.network, *doubled.network).empty());
  EXPECT_FALSE(has_own_forms(*dense.network));
}

TEST(ConvertWeights, FromOneOrderToAnother) {
  const GatedNetwork from(layers_of("cg_conv", "threshold_init = -1000\nshuffle = yes\npartitions = 2\n", "_norm"));
  const GatedNetwork to(layers_of("cg_conv", "threshold_init = -1000\nshuffle = yes\npartitions = 4\n", "_norm"));
  fill(*from.network);
  to.network->initialise(1);
  copy_common(*from.network, *to.network);
  EXPECT_EQ(convert_weights(*from.network, *to.network).size(), 2U);
  const std::vector<double> want = logits(*from.network, false), got = logits(*to.network, false);
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5 * (1 + std::abs(want[i]))) << i;
}

}  // namespace
}  // namespace sluice
