// The optimisers against naive double-precision references over several steps, and against values printed by PyTorch.
#include "core/train/optimizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/random.hpp"

namespace sluice {
namespace {

using Type = OptimizerOptions::Type;
using Doubles = std::vector<double>;

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  Random random(seed, Purpose::kTest);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

/// torch.optim as its documentation states it, and LARS, in double; one parameter vector with one set of
/// hyper-parameters.
struct Reference {
  OptimizerOptions o;
  double lr_scale, decay;
  bool plain;  ///< for lars: one of no_decay
  Doubles w, a, b;
  int t = 0;

  /// You et al. 2017, equation 6.
  double local_rate(const Doubles& gradient) const {
    const auto norm = [](const Doubles& values) {
      return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
    };
    const double weights = norm(w), gradients = norm(gradient);
    if (plain || weights == 0 || gradients == 0) return 1;
    return o.trust * weights / (gradients + decay * weights);
  }

  void step(const Doubles& gradient, double base_lr) {
    const double lr = base_lr * lr_scale;
    ++t;
    const double local = o.type == Type::kLars ? local_rate(gradient) : 1;
    for (std::size_t i = 0; i < w.size(); ++i) {
      double g = gradient[i];
      if (o.type == Type::kAdamW) {
        w[i] *= 1 - lr * decay;
        a[i] = o.betas[0] * a[i] + (1 - o.betas[0]) * g;
        b[i] = o.betas[1] * b[i] + (1 - o.betas[1]) * g * g;
        const double mean = a[i] / (1 - std::pow(o.betas[0], t)), square = b[i] / (1 - std::pow(o.betas[1], t));
        w[i] -= lr * mean / (std::sqrt(square) + o.eps);
        continue;
      }
      g += decay * w[i];
      if (o.type == Type::kLars) {
        a[i] = o.momentum * a[i] + lr * local * g;
        w[i] -= a[i];
        continue;
      }
      a[i] = t == 1 ? g : o.momentum * a[i] + g;
      w[i] -= lr * (o.nesterov ? g + o.momentum * a[i] : o.momentum > 0 ? a[i] : g);
    }
  }
};

struct Case {
  const char* name;
  OptimizerOptions options;
};

Case make_case(const char* name, Type type, double momentum, bool nesterov, double decay) {
  OptimizerOptions options;
  options.type = type;
  options.momentum = momentum;
  options.nesterov = nesterov;
  options.weight_decay = decay;
  options.betas = {0.8, 0.95};
  options.eps = 1e-3;
  options.trust = 0.5;
  return {name, options};
}

std::vector<Case> cases() {
  return {make_case("sgd", Type::kSgd, 0, false, 0),           make_case("sgd_decay", Type::kSgd, 0, false, 0.01),
          make_case("momentum", Type::kSgd, 0.9, false, 0.01), make_case("nesterov", Type::kSgd, 0.9, true, 0.01),
          make_case("adamw", Type::kAdamW, 0, false, 0),       make_case("adamw_decay", Type::kAdamW, 0, false, 0.01),
          make_case("lars", Type::kLars, 0.9, false, 0.01),    make_case("lars_plain", Type::kLars, 0, false, 0)};
}

class EveryOptimizer : public testing::TestWithParam<Case> {};

// Odd sizes, a gap between ranges, two groups with other factors; a new learning rate at each step.
TEST_P(EveryOptimizer, FollowsTheReferenceForSeveralSteps) {
  OptimizerOptions options = GetParam().options;
  options.no_decay = {"norm"};
  options.groups["bias"] = {0.5, 0.02};
  const std::vector<ParameterRange> ranges = {{"w", "weights", 0, 37}, {"n", "norm", 48, 5}, {"b", "bias", 53, 11}};
  const std::int64_t total = 70;
  std::vector<float> params = random_values(total, 1);
  const std::vector<float> initial = params;
  std::vector<Reference> references;
  for (const ParameterRange& range : ranges) {
    const auto count = static_cast<std::size_t>(range.count);
    const GroupOptions group = options.group(range.group);
    const auto first = params.begin() + range.offset;
    references.push_back({options, group.lr_scale, group.weight_decay, range.group == "norm",
                          Doubles(first, first + range.count), Doubles(count), Doubles(count)});
  }
  Optimizer optimizer(options, ranges, total);
  for (int step = 0; step < 7; ++step) {
    const double lr = 0.1 / (1 + step);
    const std::vector<float> grads = random_values(total, static_cast<std::uint64_t>(10 + step));
    optimizer.step(params.data(), grads.data(), lr);
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      const auto first = grads.begin() + ranges[r].offset;
      references[r].step(Doubles(first, first + ranges[r].count), lr);
      for (std::size_t i = 0; i < references[r].w.size(); ++i) {
        const double found = params[static_cast<std::size_t>(ranges[r].offset) + i], expected = references[r].w[i];
        ASSERT_TRUE(std::abs(found - expected) <= 2e-6 * (1 + std::abs(expected)))
            << "step " << step << " " << ranges[r].name << "[" << i << "]: " << found << " expected " << expected;
      }
    }
  }
  EXPECT_EQ(optimizer.steps(), 7);
  for (std::size_t i : {37U, 47U, 64U, 69U}) EXPECT_EQ(params[i], initial[i]) << "the gap at " << i << " was touched";
}

// The state that a checkpoint holds is all there is: a second optimiser that takes it over goes on with the same bits.
TEST_P(EveryOptimizer, ContinuesFromItsStateBitForBit) {
  const std::vector<ParameterRange> ranges = {{"w", "weights", 0, 33}};
  std::vector<float> params = random_values(33, 1);
  const std::vector<float> grads = random_values(33, 2);
  Optimizer first(GetParam().options, ranges, 33);
  for (int i = 0; i < 3; ++i) first.step(params.data(), grads.data(), 0.1);

  std::vector<float> copy = params;
  Optimizer second(GetParam().options, ranges, 33);
  ASSERT_EQ(second.states().size(), first.states().size());
  for (std::size_t i = 0; i < first.states().size(); ++i) {
    EXPECT_EQ(second.states()[i].name, first.states()[i].name);
    std::copy_n(first.states()[i].data, first.states()[i].count, second.states()[i].data);
  }
  second.set_steps(first.steps());
  first.step(params.data(), grads.data(), 0.05);
  second.step(copy.data(), grads.data(), 0.05);
  EXPECT_EQ(copy, params);
}

TEST_P(EveryOptimizer, SameBitsWithAnyNumberOfThreads) {
  const std::int64_t total = 150001;
  std::vector<ParameterRange> ranges;
  for (std::int64_t offset = 0, i = 0; offset < total; ++i) {
    const std::int64_t count = std::min(total - offset, 1 + (i * 7919) % 40000);
    ranges.push_back({"p", "weights", offset, count});
    offset += count;
  }
  const std::vector<float> grads = random_values(total, 2);
  OptimizerOptions options = GetParam().options;
  options.clip_norm = 0.5;
  std::vector<std::vector<float>> results;
  const int before = num_threads();
  for (int threads : {1, 2, 3}) {
    set_threads(threads);
    results.push_back(random_values(total, 1));
    Optimizer optimizer(options, ranges, total);
    for (int i = 0; i < 2; ++i) optimizer.step(results.back().data(), grads.data(), 0.1);
  }
  set_threads(before);
  EXPECT_TRUE(results[1] == results[0]);
  EXPECT_TRUE(results[2] == results[0]);
  EXPECT_FALSE(results[0] == random_values(total, 1));
}

INSTANTIATE_TEST_SUITE_P(Optimizer, EveryOptimizer, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

/// Three steps from (1, -2, 0.5) with learning rate 0.1, as PyTorch 1.13 was given them in double.
std::vector<float> three_steps(const OptimizerOptions& options) {
  const float grads[3][3] = {{0.5F, -1.0F, 0.25F}, {-0.3F, 0.8F, 2.0F}, {0.1F, 0.4F, -1.5F}};
  std::vector<float> params = {1.0F, -2.0F, 0.5F};
  Optimizer optimizer(options, {{"w", "weights", 0, 3}}, 3);
  for (const auto& gradient : grads) optimizer.step(params.data(), gradient, 0.1);
  return params;
}

TEST(Optimizer, AgreesWithPyTorch) {
  const auto expect = [](const OptimizerOptions& options, const Doubles& expected) {
    const std::vector<float> found = three_steps(options);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], expected[i], 3e-7) << i;
  };
  const std::vector<Case> all = cases();
  expect(all[1].options, {0.967072949, -2.014125898, 0.4237514745});
  expect(all[2].options, {0.906054749, -1.910089498, 0.1997423745});
  expect(all[3].options, {0.882721158191, -1.933570116382, 0.1539867290955});
  expect(all[5].options, {0.8619711011177681, -1.9156996289444876, 0.30725379424137816});
  OptimizerOptions clipped = all[2].options;
  clipped.clip_norm = 1;
  expect(clipped, {0.8960531900688703, -1.8481390307120944, 0.35993474800841335});
}

TEST(Optimizer, NormInDoubleOverAllRangesAndNotOverGaps) {
  std::vector<float> grads = random_values(40000, 3);
  Optimizer optimizer({}, {{"a", "weights", 0, 39}, {"b", "weights", 64, 39936}}, 40000);
  double sum = 0;
  for (std::size_t i = 0; i < grads.size(); ++i)
    if (i < 39 || i >= 64) sum += double{grads[i]} * grads[i];
  EXPECT_NEAR(optimizer.gradient_norm(grads.data()), std::sqrt(sum), 1e-10);
  grads[70] = 3e38F;  // its square is beyond float
  EXPECT_NEAR(optimizer.gradient_norm(grads.data()), 3e38, 1e31);
  grads[50] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isfinite(optimizer.gradient_norm(grads.data())));
  grads[38] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(optimizer.gradient_norm(grads.data())));
  grads[38] = -std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(optimizer.gradient_norm(grads.data())));
}

TEST(Optimizer, ClipsTheNormOnlyWhereItIsLarger) {
  OptimizerOptions options;
  options.momentum = 0;
  options.clip_norm = 2.5;
  Optimizer optimizer(options, {{"a", "weights", 0, 1}, {"b", "bias", 1, 1}}, 2);
  const std::vector<float> large = {3, -4}, small = {0.3F, -0.4F};
  std::vector<float> params = {0, 0};
  optimizer.step(params.data(), large.data(), 1);
  EXPECT_NEAR(params[0], -1.5, 1e-5);
  EXPECT_NEAR(params[1], 2, 1e-5);
  params = {0, 0};
  optimizer.step(params.data(), small.data(), 1);
  EXPECT_EQ(params, (std::vector<float>{-0.3F, 0.4F}));
  params = {0, 0};
  optimizer.step(params.data(), large.data(), 1, 10.0);  // a norm over several processes, for example
  EXPECT_NEAR(params[0], -0.75, 1e-5);
}

TEST(Optimizer, ClipsValues) {
  OptimizerOptions options;
  options.momentum = 0;
  options.clip_value = 0.5;
  Optimizer optimizer(options, {{"a", "weights", 0, 4}}, 4);
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> grads = {3, -4, 0.25F, -inf};
  std::vector<float> params = {0, 0, 0, 0};
  optimizer.step(params.data(), grads.data(), 1);
  EXPECT_EQ(params, (std::vector<float>{-0.5F, 0.5F, -0.25F, 0.5F}));
  const std::vector<float> nan(4, std::numeric_limits<float>::quiet_NaN());
  optimizer.step(params.data(), nan.data(), 1);
  for (float value : params) EXPECT_TRUE(std::isnan(value));  // clipping must not hide it
}

TEST(Optimizer, RefusesToClipByANormThatIsNotFinite) {
  OptimizerOptions options;
  options.clip_norm = 5;
  Optimizer optimizer(options, {{"conv1.weight", "weights", 0, 2}, {"fc.bias", "bias", 2, 2}}, 4);
  std::vector<float> params = {1, 2, 3, 4};
  const std::vector<float> before = params;
  const std::vector<float> grads = {1, 1, 1, std::numeric_limits<float>::quiet_NaN()};
  try {
    optimizer.step(params.data(), grads.data(), 0.1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged);
    EXPECT_STREQ(error.what(), "the gradient of fc.bias is not finite: cannot clip it to norm 5");
  }
  EXPECT_EQ(params, before);
  EXPECT_EQ(optimizer.steps(), 0);
}

TEST(Optimizer, FirstNonFiniteNamesTheRange) {
  const std::vector<ParameterRange> ranges = {{"a", "weights", 0, 3}, {"b", "bias", 4, 2}, {"c", "bias", 6, 1}};
  std::vector<float> values(7, 3e38F);
  EXPECT_EQ(first_non_finite(ranges, values.data()), nullptr);
  values[3] = std::numeric_limits<float>::quiet_NaN();  // between ranges
  EXPECT_EQ(first_non_finite(ranges, values.data()), nullptr);
  values[6] = values[5] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_non_finite(ranges, values.data())->name, "b");
}

TEST(Optimizer, RangesThatOverlapOrLeaveTheArenaAreBugs) {
  const auto message = [](const std::vector<ParameterRange>& ranges) -> std::string {
    try {
      Optimizer optimizer({}, ranges, 10);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInternal);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message({{"a", "w", 0, 10}}), "no error");
  EXPECT_EQ(message({}), "no error");
  EXPECT_EQ(message({{"b", "w", 4, 7}}), "parameter b: [4, 11) overlaps or leaves the arena of 10");
  EXPECT_EQ(message({{"c", "w", 4, 2}, {"a", "w", 0, 5}}), "parameter c: [4, 6) overlaps or leaves the arena of 10");
}

}  // namespace
}  // namespace sluice
