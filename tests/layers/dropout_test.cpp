// Dropout: the documented random bits, their share, and what they do not depend on.
#include <cmath>
#include <set>

#include "core/base/parallel.hpp"
#include "core/base/random.hpp"
#include "layers/kernels/dropout_kernels.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string dropout(const std::string& keys = "") {
  return "[layer.dropout]\ntype = dropout\n" + keys;
}

std::vector<LayerCase> dropout_cases() {
  return {
      {"dropout", "odd", {{"x", {2, 3, 5, 7}}}, dropout()},
      {"dropout", "blocks", {{"x", {3, 48, 5, 3}}}, dropout("rate = 0.3")},
      {"dropout", "tail", {{"x", {2, 18, 5, 3}}}, dropout("rate = 0.75")},
      {"dropout", "vector", {{"x", {5, 131}, true}}, dropout("rate = 0.1")},
      {"dropout", "none", {{"x", {2, 3, 5, 7}}}, dropout("rate = 0")},
      {"dropout", "two", {{"x", {2, 16, 5, 4}}}, dropout() + "\n[layer.second]\ntype = dropout\nrate = 0.2"},
      {"dropout",
       "behind_relu",
       {{"x", {2, 16, 5, 4}}},
       "[layer.bn]\ntype = batchnorm\n[layer.relu]\ntype = relu\n" + dropout() +
           "\n[layer.add]\ntype = add\nfrom = bn, dropout"},
      {"dropout",
       "of_data",
       {{"data", {2, 3, 4, 5}}, {"x", {2, 3, 4, 5}}},
       dropout("from = data") + "\n[layer.add]\ntype = add\nfrom = dropout, x"},
  };
}

std::vector<SemanticCase> dropout_semantics() {
  SemanticCase inference{
      "dropout", "identity_in_inference", {{"x", {1, 4}, true, {1, -2, 3, 4}}}, dropout("rate = 0.9")};
  inference.shape = {1, 4};
  inference.result = {1, -2, 3, 4};

  SemanticCase none = inference;
  none.name = "identity_without_rate";
  none.layers = dropout("rate = 0");
  none.mode = Mode::kTraining;
  none.upstream = {4, 3, 2, 1};
  none.gradients = {{"x/value", {4, 3, 2, 1}}};
  return {inference, none};
}

INSTANTIATE_TEST_SUITE_P(Dropout, LayerCases, ::testing::ValuesIn(dropout_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Dropout, SemanticCases, ::testing::ValuesIn(dropout_semantics()), case_name);

TEST(DropoutBits, AreThoseOfTheStreamInEveryBuild) {
  const DropoutStream stream{0x123456789abcdef0U, 0xfedcba9876543210U, 77, 40000};
  constexpr std::int64_t kFirst = 3, kEnd = 6;  // groups
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > cpu_isa()) continue;
    SCOPED_TRACE(to_string(isa));
    std::vector<std::uint8_t> bits(static_cast<std::size_t>((kEnd - kFirst) * kDropoutGroup / 8));
    dropout_bits(isa).draw(stream, kFirst, kEnd, bits.data());
    Random random(stream.seed, Purpose::kDropout, stream.step, stream.layer);
    for (std::int64_t i = 0; i < kEnd * kDropoutGroup; i += 2) {
      const std::uint32_t word = random.bits();
      for (std::int64_t half = 0; half < 2; ++half) {
        const std::int64_t at = i + half - kFirst * kDropoutGroup;
        if (at < 0) continue;
        const bool kept = (bits[static_cast<std::size_t>(at / 8)] >> (at % 8) & 1) != 0;
        ASSERT_EQ(kept, (word >> (16 * half) & 0xffffU) < 40000U) << "element " << i + half;
      }
    }
  }
}

/// The result of one dropout layer over ones.
std::vector<double> drop_ones(std::uint64_t seed, std::uint64_t step, ExecutorOptions::LayoutChoice layout,
                              int threads) {
  const Shape shape{4, 32, 25, 20};
  CaseNetwork built({{"x", shape}}, dropout("rate = 0.2") + "\n[layer.loss]\ntype = test_loss\n");
  std::fill_n(built.network->parameter_data(), shape.count(), 1.0F);
  ExecutorOptions options;
  options.mode = Mode::kTraining;
  options.batch = shape[kN];
  options.layout = layout;
  options.seed = seed;
  const int before = num_threads();
  set_threads(threads);
  Executor executor(*built.network, options);
  const std::vector<float> unread(static_cast<std::size_t>(built.network->input_shape(options.batch).count()));
  executor.lend_batch(unread.data(), nullptr);
  executor.refresh();
  executor.forward(step);
  set_threads(before);
  return to_array(executor.result(built.network->find("dropout"))).values;
}

TEST(Dropout, DependsOnSeedAndStepAlone) {
  using Layout = ExecutorOptions::LayoutChoice;
  const std::vector<double> once = drop_ones(1, 2, Layout::kNhwc, 1);
  EXPECT_EQ(once, drop_ones(1, 2, Layout::kNhwc, 2));
  EXPECT_EQ(once, drop_ones(1, 2, Layout::kNhwc, 3));
  EXPECT_EQ(once, drop_ones(1, 2, Layout::kBlocked, 2));
  EXPECT_NE(once, drop_ones(1, 3, Layout::kNhwc, 1));
  EXPECT_NE(once, drop_ones(2, 2, Layout::kNhwc, 1));
}

TEST(Dropout, KeepsTheMean) {
  const std::vector<double> values = drop_ones(1, 2, ExecutorOptions::LayoutChoice::kNhwc, 2);
  const std::set<double> distinct(values.begin(), values.end());
  ASSERT_EQ(distinct.size(), 2U);
  EXPECT_EQ(*distinct.begin(), 0.0);
  EXPECT_NEAR(*distinct.rbegin(), 1.25, 1e-4);
  double sum = 0;
  for (const double value : values) sum += value;
  const double count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 1.0, 4 * 0.5 / std::sqrt(count));  // four standard deviations
}

}  // namespace
}  // namespace sluice
