// All gates open: a plain convolution. All closed: the base path alone.
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kInputs = 8, kOutputs = 12, kTaps = 9, kPartitions = 4;

struct Extreme {
  std::string name;
  bool open, group, shuffle;
  std::string granularity = "element";
};

void PrintTo(const Extreme& e, std::ostream* out) {
  *out << e.name;
}

std::vector<Extreme> extremes() {
  std::vector<Extreme> all;
  for (const bool open : {true, false}) {
    const std::string name = open ? "open" : "closed";
    all.push_back({name, open, false, false});
    all.push_back({name + "_group", open, true, false});
    all.push_back({name + "_shuffle", open, false, true});
    all.push_back({name + "_group_shuffle", open, true, true});
    all.push_back({name + "_slice", open, true, false, "slice"});
    all.push_back({name + "_pixel", open, false, false, "pixel"});
  }
  return all;
}

bool in_base(const Extreme& e, std::int64_t o, std::int64_t i) {
  return e.group ? i / 2 == o / 3 : i < 2;  // 8 inputs and 12 outputs in 4 chunks
}

/// The source channel at a position behind the shuffle: 0, 2, 4, 6, 1, 3, 5, 7 for 4 groups of 2.
std::int64_t source_of(const Extreme& e, std::int64_t position) {
  return e.shuffle ? position % kPartitions * (kInputs / kPartitions) + position / kPartitions : position;
}

struct Outcome {
  Array result, diff_weight, diff_x;
  std::vector<float> diff_threshold;
  std::int64_t open = 0, total = 0;
};

class Extremes : public ::testing::TestWithParam<Extreme> {
 protected:
  Extremes()
      : gated_(sources(), gated_text(GetParam()), register_gated_types),
        plain_(sources(), "[layer.conv]\ntype = conv\nchannels = 12\nkernel = 3\npad = 1\n") {
    LayerCase values;
    fill(values, gated_, 3, false);
    const auto copy = [&](const char* from, const char* to) {
      const Parameter &source = gated_.parameter(from), &target = plain_.parameter(to);
      std::copy_n(gated_.network->parameter_data() + source.offset, source.shape.count(),
                  plain_.network->parameter_data() + target.offset);
    };
    copy("x/value", "x/value");
    const StateBuffer &from = gated_.buffer("test_loss/weights"), &to = plain_.buffer("test_loss/weights");
    std::copy_n(gated_.network->buffer_data() + from.offset, from.shape.count(),
                plain_.network->buffer_data() + to.offset);
    const Parameter& threshold = gated_.parameter("cg/threshold");
    std::fill_n(gated_.network->parameter_data() + threshold.offset, kOutputs, GetParam().open ? -1e4F : 1e4F);
    for_weights([](float from_gated, float& to_plain, bool kept) { to_plain = kept ? from_gated : 0; },
                gated_.network->parameter_data() + gated_.parameter("cg/weight").offset,
                plain_.network->parameter_data() + plain_.parameter("conv/weight").offset);
  }

  static std::vector<CaseSource> sources() { return {{"x", {2, kInputs, 5, 7}}}; }
  static std::string gated_text(const Extreme& e) {
    return concat("[layer.cg]\ntype = cg_conv\nchannels = 12\nkernel = 3\npad = 1\ngroup = ", e.group ? "yes" : "no",
                  "\nshuffle = ", e.shuffle ? "yes" : "no", "\ngranularity = ", e.granularity, "\n");
  }

  /// Each weight of the gated layer with the plain one that meets the same source channel; `kept`: it counts.
  template <class Body, class Gated, class Plain>
  void for_weights(Body&& body, Gated* gated, Plain* plain) const {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      for (std::int64_t i = 0; i < kInputs; ++i) {
        const bool kept = GetParam().open || in_base(GetParam(), o, i);
        for (std::int64_t t = 0; t < kTaps; ++t)
          body(gated[(o * kInputs + i) * kTaps + t], plain[(o * kInputs + source_of(GetParam(), i)) * kTaps + t], kept);
      }
    }
  }

  static Outcome run(const CaseNetwork& built, const std::string& layer, Mode mode) {
    ExecutorOptions options;
    options.mode = mode;
    options.batch = built.batch;
    Executor executor(*built.network, options);
    const std::vector<float> input(static_cast<std::size_t>(built.batch), 0.0F);
    executor.set_batch(input.data(), nullptr);
    executor.refresh();
    executor.forward();
    Outcome outcome;
    outcome.result = to_array(executor.logits());
    if (layer == "cg") {
      outcome.open = executor.counts(built.network->find(layer))[0];
      outcome.total = executor.counts(built.network->find(layer))[1];
    }
    if (mode == Mode::kInference) return outcome;
    executor.backward();
    const auto gradient = [&](const Parameter& p) { return to_array(p.shape, executor.gradients() + p.offset); };
    outcome.diff_weight = gradient(built.parameter(layer + "/weight"));
    outcome.diff_x = gradient(built.parameter("x/value"));
    if (layer != "cg") return outcome;
    const float* const from = executor.gradients() + built.parameter("cg/threshold").offset;
    outcome.diff_threshold.assign(from, from + kOutputs);
    return outcome;
  }

  CaseNetwork gated_, plain_;
};

TEST_P(Extremes, EqualPlainConvolutions) {
  for (const Mode mode : {Mode::kTraining, Mode::kInference}) {
    SCOPED_TRACE(mode == Mode::kTraining ? "training" : "inference");
    const Outcome gated = run(gated_, "cg", mode), plain = run(plain_, "conv", mode);
    EXPECT_TRUE(is_close(gated.result, plain.result, 2e-6));
    EXPECT_EQ(gated.total, 2 * kOutputs * 5 * 7);
    EXPECT_EQ(gated.open, GetParam().open ? gated.total : 0);
    if (mode == Mode::kInference) continue;
    EXPECT_TRUE(is_close(gated.diff_x, plain.diff_x, 2e-6));
    Array expected(gated.diff_weight.shape);
    for_weights([](double& to_gated, double from_plain, bool kept) { to_gated = kept ? from_plain : 0; },
                expected.values.data(), plain.diff_weight.values.data());
    EXPECT_TRUE(is_close(gated.diff_weight, expected, 2e-6));
    for (const float diff : gated.diff_threshold) EXPECT_NEAR(diff, 0, 1e-30) << "so far away the sigmoid is flat";
  }
}

INSTANTIATE_TEST_SUITE_P(CgConv, Extremes, ::testing::ValuesIn(extremes()),
                         [](const auto& extreme) { return extreme.param.name; });

}  // namespace
}  // namespace sluice
