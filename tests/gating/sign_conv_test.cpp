// Population counts against a plain loop: every instruction set, every way, odd sizes, both layouts; and networks of
// them against those that compute everything.
#include "gating/signs/sign_conv.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

struct SignCase {
  const char* name;
  std::int64_t images, inputs, height, width, outputs, kernel, stride, pad, dilation;
  std::int64_t src_block = 0, dst_block = 0;  ///< 0: NHWC
};

const SignCase kCases[] = {
    {"odd", 2, 3, 5, 7, 5, 3, 1, 1, 1},
    {"sixteen", 2, 16, 6, 9, 16, 3, 1, 1, 1},
    {"stride", 3, 32, 7, 8, 24, 3, 2, 1, 1},
    {"a_word", 1, 64, 5, 6, 64, 3, 1, 1, 1},
    {"two_words", 2, 128, 3, 4, 7, 3, 1, 1, 1},
    {"more_than_bytes_count", 1, 256, 3, 5, 9, 3, 1, 1, 1},
    {"rest_of_a_word", 2, 70, 4, 5, 33, 3, 1, 1, 1},
    {"rest_of_three", 1, 150, 4, 4, 8, 2, 1, 0, 1},
    {"pointwise", 2, 40, 5, 3, 12, 1, 2, 0, 1},
    {"dilation", 2, 20, 9, 8, 6, 3, 1, 2, 2},
    {"wide", 1, 33, 9, 10, 10, 5, 2, 3, 1},
    {"eight", 1, 5, 9, 11, 3, 8, 3, 4, 1},
    {"outside", 2, 6, 1, 1, 4, 3, 1, 2, 1},
    {"blocks", 2, 32, 5, 6, 48, 3, 1, 1, 1, 16, 16},
    {"into_blocks", 2, 20, 5, 6, 32, 3, 1, 1, 1, 0, 16},
};

int level_of(float x) {
  const float within = std::min(std::max(x, -1.0F), 1.0F);
  return 2 * static_cast<int>(std::nearbyint((within + 1.0F) * 1.5F)) - 3;
}

/// Results as in SignConv::run with scales of 1/2 and shifts of the channel's number, and then the addend.
class SignConvTest : public ::testing::TestWithParam<SignCase> {
 protected:
  SignConvTest() {
    const SignCase& c = GetParam();
    geometry_.channels = c.outputs;
    geometry_.kernel = c.kernel;
    geometry_.stride = c.stride;
    geometry_.pad = c.pad;
    geometry_.dilation = c.dilation;
    src_ = {{c.images, c.inputs, c.height, c.width}, DataType::kF32, c.src_block > 0 ? c.src_block : c.inputs};
    dst_ = {geometry_.dst_shape(src_.shape), DataType::kF32, c.dst_block > 0 ? c.dst_block : c.outputs};
    Random random(3, Purpose::kTest);
    for (std::int64_t i = 0; i < src_.count(); ++i)
      source_.push_back(i % 11 == 0 ? 0.0F : static_cast<float>(random.normal()) * 0.7F);
    weights_.resize(static_cast<std::size_t>(geometry_.weights_shape(src_.shape).count()));
    for (float& w : weights_) w = random.normal() > 0.1 ? 1.0F : -1.0F;
    for (std::int64_t i = 0; i < dst_.count(); ++i) addend_.push_back(static_cast<float>(i % 5));
    make_sums();
  }

  /// Sums of high and of low bits, like the result.
  void make_sums() {
    const SignCase& c = GetParam();
    high_.resize(addend_.size());
    low_.resize(addend_.size());
    const Shape& s = dst_.shape;
    for (std::int64_t n = 0; n < s[kN]; ++n) {
      for (std::int64_t o = 0; o < s[kC]; ++o) {
        for (std::int64_t p = 0; p < s[kH] * s[kW]; ++p) {
          int high = 0, low = 0;
          for (std::int64_t k = 0; k < c.inputs * c.kernel * c.kernel; ++k) {
            const std::int64_t i = k / (c.kernel * c.kernel), tap = k % (c.kernel * c.kernel);
            const std::int64_t h = p / s[kW] * c.stride - c.pad + tap / c.kernel * c.dilation;
            const std::int64_t w = p % s[kW] * c.stride - c.pad + tap % c.kernel * c.dilation;
            if (h < 0 || h >= c.height || w < 0 || w >= c.width) continue;
            const int level = level_of(source_[static_cast<std::size_t>(src_.offset(n, i, h, w))]);
            const int weight = weights_[static_cast<std::size_t>(o * c.inputs * c.kernel * c.kernel + k)] > 0 ? 1 : -1;
            high += weight * (level > 0 ? 2 : -2);
            low += weight * (level > 0 ? level - 2 : level + 2);
          }
          const auto at = static_cast<std::size_t>(dst_.offset(n, o, p / s[kW], p % s[kW]));
          high_[at] = high;
          low_[at] = low;
        }
      }
    }
  }

  /// Limits between which and 0 sums of channels lie: some channels are always open, some never.
  std::vector<float> limits(float density) const {
    std::vector<int> sorted = high_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = static_cast<std::size_t>((1 - density) * static_cast<float>(sorted.size() - 1));
    std::vector<float> limits(static_cast<std::size_t>(GetParam().outputs), static_cast<float>(sorted[at]));
    if (density <= 0) limits.assign(limits.size(), 1e7F);
    if (density >= 1) limits.assign(limits.size(), -1e7F);
    limits.back() = std::numeric_limits<float>::quiet_NaN();  // closed
    return limits;
  }

  std::int64_t channel_of(std::int64_t at) const {
    const std::int64_t pixels = dst_.shape[kH] * dst_.shape[kW], block = dst_.block;
    return at / (pixels * block) % (dst_.shape[kC] / block) * block + at % block;
  }

  void check(Isa isa, float density) {
    const std::vector<float> limit = limits(density);
    Epilogue epilogue;
    epilogue.affine = epilogue.adds = true;
    epilogue.low = -40;
    epilogue.high = 60;
    SlotBook book;
    SignConv conv(geometry_, src_, dst_, epilogue, isa);
    Scratch forward = book.scratch();
    conv.book(book, forward);
    const OwnMemory own(book);
    const Memory memory = own.memory();
    conv.pack(memory, weights_.data(), limit.data());
    std::vector<float> scale(64, 0.5F), shift(64);
    for (std::size_t o = 0; o < shift.size(); ++o) shift[o] = static_cast<float>(o);
    for (const SignWay way : {SignWay::kDots, SignWay::kLanes, SignWay::kAll, SignWay::kNone}) {
      SCOPED_TRACE(concat(to_string(isa), ", way ", static_cast<int>(way), ", density ", density));
      std::vector<float> dst(addend_.size()), decisions(addend_.size());
      const std::int64_t open =
          conv.run(memory, source_.data(), way, {scale.data(), shift.data(), addend_.data(), nullptr}, dst.data());
      conv.decisions(memory, decisions.data());
      std::int64_t expected_open = 0;
      for (std::size_t i = 0; i < dst.size(); ++i) {
        const auto o = static_cast<std::size_t>(channel_of(static_cast<std::int64_t>(i)));
        const bool is_open = static_cast<float>(high_[i]) > limit[o];
        const int sum = high_[i] + (is_open && way != SignWay::kNone ? low_[i] : 0);
        const float value = static_cast<float>(sum) * 0.5F + shift[o] + addend_[i];
        expected_open += is_open ? 1 : 0;
        ASSERT_EQ(dst[i], std::min(std::max(value, -40.0F), 60.0F)) << "element " << i << ", channel " << o;
        ASSERT_EQ(decisions[i], is_open ? 1.0F : 0.0F) << "element " << i;
      }
      EXPECT_EQ(open, expected_open);
    }
  }

  ConvGeometry geometry_;
  TensorDesc src_, dst_;
  std::vector<float> source_, weights_, addend_;
  std::vector<int> high_, low_;
};

TEST_P(SignConvTest, CountsAsAPlainLoopDoes) {
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > cpu_isa()) continue;
    for (const float density : {0.0F, 0.05F, 0.4F, 1.0F}) check(isa, density);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, SignConvTest, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

const char* const kText = R"([network]
input = 3x9x8
[type.pg_conv]
weight_bits = 1
activation_bits = 2
activation_levels = bipolar
prediction_bits = 1
[layer.stem]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn0]
type = batchnorm
[layer.conv1]
type = pg_conv
channels = 16
kernel = 3
pad = 1
[layer.bn1]
type = batchnorm
[layer.rprelu]
type = rprelu
[layer.add1]
type = add
from = rprelu, bn0
[layer.conv2]
type = pg_conv
channels = 32
kernel = 3
stride = 2
pad = 1
[layer.bn2]
type = batchnorm
[layer.relu2]
type = pact_relu
[layer.conv3]
type = pg_conv
channels = 32
kernel = 3
pad = 1
[layer.bn3]
type = batchnorm
[layer.add3]
type = add
from = bn3, relu2
[layer.slices]
type = pg_conv
channels = 32
kernel = 1
granularity = slice
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 10
)";
const char* const kCounted[] = {"conv1", "conv2", "conv3"};
constexpr std::int64_t kImages = 6;

struct Outcome {
  std::vector<float> logits, decisions;
  std::vector<std::int64_t> open;
};

class PgSignsTest : public ::testing::Test {
 protected:
  PgSignsTest() : built_(kText) {
    Network& network = *built_.network;
    network.initialise(5);
    Random random(9, Purpose::kTest);
    for (std::int64_t i = 0; i < network.input_shape(kImages).count(); ++i)
      images_.push_back(static_cast<float>(random.normal()));
    ExecutorOptions options;
    options.mode = Mode::kTraining;
    options.batch = kImages;
    Executor executor(network, options);
    executor.refresh();
    executor.set_batch(images_.data(), nullptr);
    for (int pass = 0; pass < 10; ++pass) executor.forward();
  }

  static ExecutorOptions options(bool skip, ExecutorOptions::LayoutChoice layout, std::int64_t batch) {
    ExecutorOptions options;
    options.batch = batch;
    options.skip = skip;
    options.layout = layout;
    options.record_decisions = true;
    options.winograd = false;
    return options;
  }

  Outcome run(Executor& executor, int way = 0) {
    const std::vector<OperationInfo> operations = executor.operations();
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (!operations[i].alternatives.empty()) executor.choose(i, way);
    }
    const Network& network = *built_.network;
    const std::int64_t batch = executor.options().batch;
    executor.refresh();
    executor.reset_statistics();
    Outcome all;
    for (std::int64_t first = 0; first < kImages; first += batch) {
      executor.set_batch(images_.data() + first * network.input_shape(1).count(), nullptr);
      executor.forward();
      const float* const logits = executor.logits().as<const float>();
      all.logits.insert(all.logits.end(), logits, logits + batch * 10);
      for (const char* layer : kCounted) {
        const int node = network.find(layer);
        const float* const decisions = executor.decisions(node);
        const std::int64_t count = network.nodes()[static_cast<std::size_t>(node)].declared.dst.count() * batch;
        all.decisions.insert(all.decisions.end(), decisions, decisions + count);
      }
    }
    for (const char* layer : kCounted) all.open.push_back(executor.counts(network.find(layer))[0]);
    return all;
  }

  GatedNetwork built_;
  std::vector<float> images_;
};

TEST_F(PgSignsTest, GivesTheBitsOfTheOneThatComputesEverything) {
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
    for (const std::int64_t batch : {1, 3}) {
      Executor dense(*built_.network, options(false, layout, batch));
      Executor counting(*built_.network, options(true, layout, batch));
      const Outcome all = run(dense);
      for (const std::int64_t open : all.open) EXPECT_GT(open, 0);
      for (int way = 0; way < 3; ++way) {
        SCOPED_TRACE(concat("layout ", static_cast<int>(layout), ", batch ", batch, ", way ", way));
        const Outcome own = run(counting, way);
        EXPECT_EQ(own.logits, all.logits);
        EXPECT_EQ(own.decisions, all.decisions);
        EXPECT_EQ(own.open, all.open);
      }
    }
  }
}

TEST_F(PgSignsTest, SaysHowItCounts) {
  const Executor executor(*built_.network, options(true, ExecutorOptions::LayoutChoice::kNhwc, 2));
  std::vector<std::string> counting;
  for (const OperationInfo& operation : executor.operations()) {
    if (operation.type != "pg_conv" || operation.kernel != sign_kernel_name()) continue;
    counting.push_back(operation.name);
    EXPECT_EQ(operation.alternatives, (std::vector<std::string>{"dots", "lanes", "all"}));
  }
  EXPECT_EQ(counting, std::vector<std::string>(std::begin(kCounted), std::end(kCounted)))
      << "outputs that share a gate are not counted";
}

TEST_F(PgSignsTest, HandsOnWhatIsNoNumberInItsImageAlone) {
  Executor executor(*built_.network, options(true, ExecutorOptions::LayoutChoice::kNhwc, kImages));
  const std::vector<float> clean = run(executor).logits;
  images_[5] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> spoiled = run(executor).logits;
  const std::size_t classes = clean.size() / kImages;
  for (std::size_t i = 0; i < classes; ++i) EXPECT_TRUE(std::isnan(spoiled[i])) << i;
  for (std::size_t i = classes; i < clean.size(); ++i) EXPECT_EQ(spoiled[i], clean[i]) << i;
}

TEST_F(PgSignsTest, HandsOnAWeightThatIsNoNumber) {
  for (const Parameter& p : built_.network->parameters()) {
    if (p.path() == "conv1/weight")
      built_.network->parameter_data()[p.offset] = std::numeric_limits<float>::quiet_NaN();
  }
  Executor executor(*built_.network, options(true, ExecutorOptions::LayoutChoice::kNhwc, kImages));
  for (const float logit : run(executor).logits) EXPECT_TRUE(std::isnan(logit)) << logit;
}

}  // namespace
}  // namespace sluice
