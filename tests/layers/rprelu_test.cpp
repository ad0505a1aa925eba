// rprelu: on either side of its bend, in every layout; its kernels in every build that this processor runs, against
// loops in double.
#include "core/base/error.hpp"
#include "layers/kernels/rprelu_kernels.hpp"
#include "tests/layers/harness/layer_test.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

const char* const kLayer = "[layer.rprelu]\ntype = rprelu\n";

std::vector<LayerCase> rprelu_cases() {
  return {
      {"rprelu", "odd", {{"x", {2, 3, 5, 7}}}, kLayer},
      {"rprelu", "blocks", {{"x", {3, 32, 5, 3}}}, kLayer},
      {"rprelu", "tail", {{"x", {2, 21, 3, 4}}}, kLayer},
      {"rprelu", "of_data", {{"data", {2, 3, 5, 7}}}, kLayer},
      {"rprelu",
       "behind_a_norm",
       {{"x", {2, 16, 4, 5}}},
       std::string("[layer.bn]\ntype = batchnorm\n") + kLayer + "[layer.add]\ntype = add\nfrom = rprelu, x\n"},
  };
}

std::vector<SemanticCase> rprelu_semantics() {
  SemanticCase bend{"rprelu", "bend", {{"x", {1, 2, 1, 3}, false, {0, 1, 2, -1, 0, 5}}}, kLayer};
  bend.mode = Mode::kTraining;
  bend.state = {{"rprelu/shift_x", {-1, 0.5}}, {"rprelu/weight", {0.5, -2}}, {"rprelu/shift_y", {10, 20}}};
  bend.shape = {1, 2, 1, 3};
  bend.result = {9.5, 10, 11, 21, 20.5, 25.5};  // z: -1, 0, 1 and -0.5, 0.5, 5.5
  bend.upstream = {1, 2, 4, 8, 16, 32};
  bend.gradients = {{"x/value", {0.5, 1, 4, -16, 16, 32}},
                    {"rprelu/shift_x", {5.5, 32}},
                    {"rprelu/weight", {-1, -4}},
                    {"rprelu/shift_y", {7, 56}}};
  SemanticCase fresh{"rprelu", "fresh", {{"x", {1, 1, 1, 2}, false, {-4, 4}}}, kLayer};
  fresh.layers += "init = 0.125\n";
  fresh.state = {{"rprelu/shift_x", {0}}, {"rprelu/shift_y", {0}}};
  fresh.shape = {1, 1, 1, 2};
  fresh.result = {-0.5, 4};
  return {bend, fresh};
}

INSTANTIATE_TEST_SUITE_P(RPRelu, LayerCases, ::testing::ValuesIn(rprelu_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(RPRelu, SemanticCases, ::testing::ValuesIn(rprelu_semantics()), case_name);

class RPReluKernelTest : public KernelTest {};

/// Groups of whole vectors and of less, with rows enough for more than one sum in single precision.
std::vector<ChannelGroup> groups() {
  return {{7, 3, 3}, {1, 16, 16}, {300, 21, 5}, {513, 48, 16}};
}

template <class T>
void check_kernels(Isa isa) {
  for (const ChannelGroup g : groups()) {
    SCOPED_TRACE(concat(g.rows, " rows of ", g.lanes));
    const GroupValues<T> src(g, 1), diff(g, 2);
    const Floats shift_x = random_floats(g.lanes, 3), slope = random_floats(g.lanes, 4),
                 shift_y = random_floats(g.lanes, 5);
    const RPReluParameters<const float> parameters{shift_x.data(), slope.data(), shift_y.data()};
    const auto bent = [&](std::int64_t row, int lane) { return src.at(row, lane) + shift_x[lane]; };
    const auto passed = [&](std::int64_t row, int lane) {
      return diff.at(row, lane) * (bent(row, lane) > 0 ? 1 : slope[lane]);
    };
    GroupValues<T> dst(g, 6), diff_src(g, 7);
    rprelu_kernels<T>(isa).forward(g, parameters, src.data(), dst.data());
    EXPECT_TRUE(dst.holds([&](std::int64_t row, int lane) {
      const double x = bent(row, lane);
      return std::max(x, 0.0) + slope[lane] * std::min(x, 0.0) + shift_y[lane];
    }));
    for (T* const to : {diff_src.data(), static_cast<T*>(nullptr)}) {
      const auto lanes = static_cast<std::size_t>(g.lanes);
      std::vector<double> of_x(lanes, 1), of_slope(lanes, 2), of_y(lanes, 3);  // to be added to
      rprelu_kernels<T>(isa).backward(g, parameters, src.data(), diff.data(), to,
                                      {of_x.data(), of_slope.data(), of_y.data()});
      for (int lane = 0; lane < g.lanes; ++lane) {
        double want_x = 1, want_slope = 2, want_y = 3;
        for (std::int64_t row = 0; row < g.rows; ++row) {
          want_x += passed(row, lane);
          want_slope += diff.at(row, lane) * std::min(bent(row, lane), 0.0);
          want_y += diff.at(row, lane);
        }
        const auto l = static_cast<std::size_t>(lane);
        EXPECT_NEAR(of_x[l], want_x, 1e-5 * static_cast<double>(g.rows));
        EXPECT_NEAR(of_slope[l], want_slope, 1e-5 * static_cast<double>(g.rows));
        EXPECT_NEAR(of_y[l], want_y, 1e-5 * static_cast<double>(g.rows));
      }
    }
    EXPECT_TRUE(diff_src.holds(passed));
  }
}

TEST_P(RPReluKernelTest, AreTheLoops) {
  check_kernels<float>(GetParam());
  check_kernels<BFloat16>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Isa, RPReluKernelTest, all_isas(), isa_name);

}  // namespace
}  // namespace sluice
