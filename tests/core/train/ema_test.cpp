// The moving average against double precision, its warm-up, its state, and the swap.
#include "core/train/ema.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  Random random(seed, Purpose::kTest);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

std::vector<float> copy_of(const Ema::State& state) {
  return {state.data, state.data + state.count};
}

TEST(Ema, FollowsTheFormulaForWeightsAndBuffers) {
  for (bool warmup : {false, true}) {
    const EmaOptions options{0.75, warmup};
    std::vector<float> params = random_values(13, 1), buffers = random_values(5, 2);
    Ema ema(options, params.data(), 13, buffers.data(), 5);
    std::vector<double> expected(params.begin(), params.end());
    expected.insert(expected.end(), buffers.begin(), buffers.end());
    for (int t = 0; t < 40; ++t) {
      params = random_values(13, static_cast<std::uint64_t>(10 + t));
      buffers = random_values(5, static_cast<std::uint64_t>(100 + t));
      ema.update(params.data(), buffers.data());
      const double decay = warmup ? std::min(0.75, (1.0 + t) / (10.0 + t)) : 0.75;
      for (std::size_t i = 0; i < 18; ++i) {
        const double value = i < 13 ? params[i] : buffers[i - 13];
        expected[i] = decay * expected[i] + (1 - decay) * value;
        const float found = i < 13 ? ema.states()[0].data[i] : ema.states()[1].data[i - 13];
        ASSERT_TRUE(std::abs(found - expected[i]) <= 1e-6) << "update " << t << " element " << i;
      }
    }
    EXPECT_EQ(ema.updates(), 40);
  }
}

TEST(Ema, StartsAsTheValuesGiven) {
  const std::vector<float> params = random_values(7, 1), buffers = random_values(3, 2);
  const Ema ema({0.9, true}, params.data(), 7, buffers.data(), 3);
  EXPECT_EQ(copy_of(ema.states()[0]), params);
  EXPECT_EQ(copy_of(ema.states()[1]), buffers);
  EXPECT_EQ(ema.states()[0].name, "weights");
  EXPECT_EQ(ema.states()[1].name, "buffers");
}

TEST(Ema, ContinuesFromItsStateBitForBit) {
  const std::vector<float> start = random_values(9, 1), next = random_values(9, 2);
  Ema first({0.9, true}, start.data(), 9, start.data(), 9);
  first.update(next.data(), next.data());
  Ema second({0.9, true}, next.data(), 9, next.data(), 9);
  for (std::size_t i = 0; i < 2; ++i) std::copy_n(first.states()[i].data, 9, second.states()[i].data);
  second.set_updates(first.updates());
  first.update(start.data(), start.data());
  second.update(start.data(), start.data());
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(copy_of(second.states()[i]), copy_of(first.states()[i]));
}

TEST(Ema, SwapPutsTheAveragesInAndTheTrainedValuesBack) {
  const std::vector<float> start = random_values(70000, 1), trained = random_values(70000, 2);
  std::vector<float> params = trained, buffers = {1, 2};
  const std::vector<float> old_buffers = {5, 6};
  Ema ema({0.5, false}, start.data(), 70000, old_buffers.data(), 2);
  {
    const Ema::Swap swap(ema, params.data(), buffers.data());
    EXPECT_TRUE(params == start);
    EXPECT_EQ(buffers, old_buffers);
    EXPECT_THROW(ema.update(params.data(), buffers.data()), Error);
    EXPECT_THROW(Ema::Swap(ema, params.data(), buffers.data()), Error);
  }
  EXPECT_TRUE(params == trained);
  EXPECT_EQ(buffers, (std::vector<float>{1, 2}));
  EXPECT_EQ(copy_of(ema.states()[1]), old_buffers);
  ema.update(params.data(), buffers.data());
  EXPECT_EQ(ema.states()[1].data[0], 3);
}

TEST(Ema, ANetworkWithoutBuffersWorks) {
  std::vector<float> params = {1, 2};
  Ema ema({0.5, false}, params.data(), 2, nullptr, 0);
  params = {3, 4};
  ema.update(params.data(), nullptr);
  EXPECT_EQ(copy_of(ema.states()[0]), (std::vector<float>{2, 3}));
  EXPECT_EQ(ema.states()[1].count, 0);
}

TEST(Ema, Keys) {
  Config config = Config::parse("[ema]\ndecay = 1\n", "a.ini");
  config.read<EmaOptions>("ema");
  EXPECT_EQ(
      config.diagnostics().errors(),
      std::vector<std::string>{"a.ini:2: [ema] decay: expected a number below 1: with 1 the average never moves"});
  Config none = Config::parse("", "a.ini");
  EXPECT_FALSE(none.read<EmaOptions>("ema").enabled());
}

}  // namespace
}  // namespace sluice
