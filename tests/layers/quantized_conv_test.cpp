// quantized_conv: every combination of bits against the reference, and its meaning where rounding ties.
#include <cstring>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string conv(std::int64_t weight_bits, std::int64_t activation_bits, const std::string& keys) {
  return concat("[layer.conv]\ntype = quantized_conv\nweight_bits = ", weight_bits,
                "\nactivation_bits = ", activation_bits, "\n", keys, "\n");
}

LayerCase make_case(const std::string& name, const Shape& src, std::int64_t weight_bits, std::int64_t activation_bits,
                    const std::string& keys) {
  LayerCase c{"quantized_conv", name, {{"x", src}}, conv(weight_bits, activation_bits, keys)};
  if (weight_bits > 0) c.surrogates.push_back("conv/weight");
  if (activation_bits > 0) c.surrogates.push_back("x/value");
  return c;
}

/// Some sources and weights are exactly 0: there the gradient is.
void set_zeros(Network& network, const CaseBatch&) {
  for (const Parameter& p : network.parameters()) {
    for (std::int64_t i = p.name == "bias" ? p.shape.count() : 0; i < p.shape.count(); i += 5)
      network.parameter_data()[p.offset + i] = i % 2 == 0 ? 0.0F : -0.0F;
  }
}

std::vector<LayerCase> quantized_conv_cases() {
  const Shape odd{2, 3, 5, 7}, blocks{2, 32, 5, 4};
  const std::string odd_keys = "channels = 4\nkernel = 3\nstride = 2\npad = 1";
  const std::string wide = "channels = 48\nkernel = 3\npad = 1";
  std::vector<LayerCase> cases;
  for (const std::int64_t weight_bits : {0, 1, 2, 8}) {
    for (const std::int64_t activation_bits : {0, 1, 3, 8})
      cases.push_back(make_case(concat("w", weight_bits, "a", activation_bits), odd, weight_bits, activation_bits,
                                odd_keys + "\nbias = yes"));
  }
  for (const auto& [weight_bits, activation_bits] : {std::pair(0, 3), {1, 1}, {2, 4}, {8, 3}, {8, 8}, {8, 0}})
    cases.push_back(
        make_case(concat("blocks_w", weight_bits, "a", activation_bits), blocks, weight_bits, activation_bits, wide));
  cases.push_back(make_case("signed", odd, 8, 8, odd_keys + "\nweight_levels = signed"));
  cases.push_back(make_case("signed_2_bits", odd, 2, 4, odd_keys + "\nweight_levels = signed"));
  cases.push_back(make_case("dynamic", odd, 8, 4, odd_keys + "\nscales = dynamic"));
  cases.push_back(make_case("image", odd, 8, 4, odd_keys + "\nscales = image"));
  cases.push_back(make_case("image_blocks", blocks, 8, 3, wide + "\nscales = image"));
  cases.push_back(make_case("many_bits", odd, 12, 16, odd_keys));
  cases.push_back(make_case("sixteen", {2, 16, 6, 5}, 8, 3, "channels = 16\nkernel = 3\npad = 1"));
  cases.push_back(make_case("pointwise", {2, 7, 5, 3}, 4, 4, "channels = 9\nkernel = 1\nstride = 2"));
  cases.push_back(make_case("groups", {2, 6, 5, 7}, 4, 4, "channels = 4\nkernel = 3\npad = 1\ngroups = 2"));
  cases.push_back(make_case("depthwise", {2, 32, 6, 7}, 8, 4, "channels = 32\nkernel = 3\npad = 1\ngroups = 32"));
  cases.push_back(make_case("dilation", {2, 3, 9, 8}, 3, 5, "channels = 4\nkernel = 3\npad = 2\ndilation = 2"));
  const std::string signs = "activation_levels = bipolar\nweight_clip = 0.5\n";
  for (const auto& [weight_bits, activation_bits] : {std::pair(1, 1), {1, 2}, {0, 2}, {8, 4}, {1, 0}}) {
    const std::string name = concat("bipolar_w", weight_bits, "a", activation_bits);
    cases.push_back(make_case(name, odd, weight_bits, activation_bits, signs + odd_keys + "\nbias = yes"));
    cases.push_back(make_case(name + "_blocks", blocks, weight_bits, activation_bits, signs + wide));
  }
  // Sources that are nowhere below 0: products of int8, with weights of one byte and of two.
  const std::string relu = "[layer.relu]\ntype = relu\n";
  for (const auto& [weight_bits, activation_bits] : {std::pair(1, 3), {4, 7}, {7, 6}, {8, 3}, {8, 6}, {8, 8}}) {
    for (const bool wide_case : {false, true}) {
      const std::string name = concat(wide_case ? "int8_blocks_w" : "int8_w", weight_bits, "a", activation_bits);
      cases.push_back(make_case(name, wide_case ? blocks : odd, weight_bits, activation_bits,
                                wide_case ? wide : odd_keys + "\nbias = yes"));
      cases.back().layers = relu + cases.back().layers;
    }
  }
  for (LayerCase& c : cases) c.prepare = set_zeros;
  LayerCase first = make_case("first_layer", odd, 8, 8, "channels = 16\nkernel = 3\npad = 1\nbias = yes");
  first.sources[0].name = "data";
  first.surrogates = {"conv/weight"};
  cases.push_back(first);
  return cases;
}

/// What inference takes along, with an addend in front of or behind the activation.
std::vector<LayerCase> fusion_cases() {
  const std::string body =
      conv(8, 3, "channels = 32\nkernel = 3\npad = 1\nbias = yes") + "[layer.bn]\ntype = batchnorm\n";
  const std::string add = "[layer.add]\ntype = add\nfrom = bn, x\n", relu = "[layer.relu]\ntype = relu\n",
                    pact = "[layer.relu]\ntype = pact_relu\ninit = 0.5\n";
  std::vector<LayerCase> cases;
  for (const std::int64_t width : {32, 5}) {
    const std::string keys = width == 32 ? body : [&] {
      std::string text = body;
      return text.replace(text.find("channels = 32"), 13, "channels = 5 ");
    }();
    const std::vector<CaseSource> sources = {{"x", {2, width, 6, 5}}};
    cases.push_back({"quantized_conv", concat("bn_", width), sources, keys});
    cases.push_back({"quantized_conv", concat("bn_relu_", width), sources, keys + relu});
    cases.push_back({"quantized_conv", concat("bn_add_relu_", width), sources, keys + add + relu});
    cases.push_back({"quantized_conv", concat("bn_add_pact_", width), sources, keys + add + pact});
  }
  for (LayerCase& c : cases) {
    c.surrogates = {"x/value", "conv/weight"};
    c.tolerance = 1e-5;  // batch normalisation behind it
    c.inference_only = true;
  }
  return cases;
}

/// A 1x1 filter over single pixels: results are quantised sources times quantised weights.
SemanticCase pixels(const std::string& name, std::int64_t weight_bits, std::int64_t activation_bits,
                    const std::string& keys, const std::vector<double>& src) {
  const auto count = static_cast<std::int64_t>(src.size());
  SemanticCase c{"quantized_conv", name, {{"x", {1, 1, 1, count}, false, src}}, {}};
  c.layers = conv(weight_bits, activation_bits, "channels = 1\nkernel = 1\n" + keys);
  c.shape = {1, 1, 1, count};
  return c;
}

std::vector<SemanticCase> quantized_conv_semantics() {
  // Levels of 2 bits are thirds of the scale 3: 0.5, 1.5 and 2.5 are ties, which go to even.
  SemanticCase ties = pixels("ties", 0, 2, "", {0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.6, 7, -7});
  ties.state = {{"conv/weight", {1}}, {"conv/src_scale", {3}}};
  ties.result = {0, 0, 2, 2, 0, -2, -2, 1, 3, -3};

  SemanticCase dynamic = pixels("dynamic_ignores_the_stored_scale", 0, 2, "scales = dynamic", {1, 2, -6});
  dynamic.state = {{"conv/weight", {1}}, {"conv/src_scale", {3}}};
  dynamic.result = {0, 2, -6};

  SemanticCase image = pixels("image_has_its_own_scale", 0, 2, "scales = image", {1, 2, -6});
  image.sources = {{"x", {2, 1, 1, 3}, false, {1, 2, -6, 1, 2, -3}}};
  image.state = {{"conv/weight", {1}}, {"conv/src_scale", {3}}};
  image.shape = {2, 1, 1, 3};
  image.result = {0, 2, -6, 1, 2, -3};
  SemanticCase image_training = image;
  image_training.name = "image_training";
  image_training.mode = Mode::kTraining;
  image_training.upstream = {1, 2, 3, 4, 5, 6};
  image_training.gradients = {{"x/value", {1, 2, 3, 4, 5, 6}}, {"conv/weight", {2 * 2 - 6 * 3 + 4 + 2 * 5 - 3 * 6}}};
  image_training.buffers_after = {{"conv/src_scale", {3}}};

  SemanticCase unset = pixels("nothing_stored", 0, 2, "", {1, 2, -6});
  unset.state = {{"conv/weight", {1}}};
  unset.result = {0, 2, -6};

  SemanticCase binary = pixels("binary", 1, 1, "", {0, 0.001, 5, -0.001, -5});
  binary.state = {{"conv/weight", {-0.3}}};
  binary.result = {1, -1, -1, 1, 1};  // at 0, (0 + 1) / 2 is a tie and goes to 0: -1
  SemanticCase binary_training = binary;
  binary_training.name = "binary_training";
  binary_training.mode = Mode::kTraining;
  binary_training.upstream = {1, 2, 3, 4, 5};
  binary_training.gradients = {{"x/value", {-1, -2, -3, -4, -5}}, {"conv/weight", {-1 + 2 + 3 - 4 - 5}}};

  SemanticCase training = pixels("training", 0, 2, "", {0, 0.2, -3, 3, -0.0});
  training.mode = Mode::kTraining;
  training.state = {{"conv/weight", {2}}, {"conv/src_scale", {5}}};
  training.result = {0, 0, -6, 6, 0};
  training.upstream = {1, 2, 4, 8, 16};
  training.gradients = {{"x/value", {0, 4, 8, 16, 0}}, {"conv/weight", {-3 * 4 + 3 * 8}}};
  training.buffers_after = {{"conv/src_scale", {0.9 * 5 + 0.1 * 3}}};

  SemanticCase weights = pixels("signed_weights", 3, 0, "weight_levels = signed", {1, 10});
  weights.layers = conv(3, 0, "channels = 2\nkernel = 1\nweight_levels = signed");
  weights.state = {{"conv/weight", {3, -1.4}}};  // three levels: -1.4 is -1
  weights.shape = {1, 2, 1, 2};
  weights.result = {3, 30, -1, -10};
  SemanticCase full = weights;
  full.name = "full_weights";
  full.layers = conv(3, 0, "channels = 2\nkernel = 1");
  full.result = {3, 30, -9.0 / 7, -90.0 / 7};  // seven levels: 1.4 / 3 * 7 = 3.27
  SemanticCase rescaled = weights;
  rescaled.name = "rescaled";
  rescaled.layers = conv(1, 0, "channels = 1\nkernel = 2");
  rescaled.sources[0] = {"x", {1, 1, 2, 2}, false, {1, 2, 3, 5}};
  rescaled.state = {{"conv/weight", {0.1, 2, -0.1, 0.7}}};
  rescaled.shape = {1, 1, 1, 1};
  rescaled.result = {(1.0 + 2 - 3 + 5) / 2};  // sqrt(1 / 4)
  // Halves between levels: at 0 the number of the level is 1.5, at 2/3 it is 2.5 but for the rounding of 2/3.
  SemanticCase bipolar = pixels("bipolar", 1, 2, "activation_levels = bipolar\nweight_clip = 0.4",
                                {-9, -1, -0.7, -0.6, -0.1, 0, 0.1, 0.6, 0.7, 1, 9});
  bipolar.shape = {1, 1, 1, 11};
  bipolar.state = {{"conv/weight", {-0.3}}};
  bipolar.mode = Mode::kTraining;
  bipolar.result = {1, 1, 1, 1.0 / 3, 1.0 / 3, -1.0 / 3, -1.0 / 3, -1.0 / 3, -1, -1, -1};
  bipolar.upstream = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  bipolar.gradients = {{"x/value", {0, 0, -3, -4, -5, -6, -7, -8, -9, 0, 0}},
                       {"conv/weight", {-1 - 2 - 3 - 4 / 3.0 - 5 / 3.0 + 6 / 3.0 + 7 / 3.0 + 8 / 3.0 + 9 + 10 + 11}}};
  SemanticCase clipped = bipolar;
  clipped.name = "bipolar_clipped";
  clipped.state = {{"conv/weight", {-0.5}}};
  clipped.gradients["conv/weight"] = {0};
  return {ties,     dynamic, image, image_training, unset,   binary, binary_training,
          training, weights, full,  rescaled,       bipolar, clipped};
}

INSTANTIATE_TEST_SUITE_P(QuantizedConv, LayerCases, ::testing::ValuesIn(quantized_conv_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(QuantizedConvFusion, LayerCases, ::testing::ValuesIn(fusion_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(QuantizedConv, SemanticCases, ::testing::ValuesIn(quantized_conv_semantics()), case_name);

const char* const kTwoConvs =
    "[layer.a]\ntype = quantized_conv\nchannels = 16\nkernel = 3\npad = 1\nactivation_bits = 3\n"
    "[layer.relu]\ntype = relu\n[layer.b]\ntype = quantized_conv\nchannels = 20\nkernel = 3\npad = 1\n"
    "weight_bits = 2\nactivation_bits = 4\n";

/// The results of images in batches of `batch`, in bits.
std::vector<float> results(const CaseNetwork& built, const std::vector<float>& images, std::int64_t batch,
                           ExecutorOptions options) {
  options.batch = batch;
  Executor executor(*built.network, options);
  const std::int64_t pixels = built.network->input_shape(1).count();
  executor.refresh();
  std::vector<float> all;
  for (std::int64_t first = 0; first * pixels < static_cast<std::int64_t>(images.size()); first += batch) {
    executor.set_batch(images.data() + first * pixels, nullptr);
    executor.forward();
    for (const double value : to_array(executor.logits()).values) all.push_back(static_cast<float>(value));
  }
  return all;
}

class FrozenScales : public ::testing::TestWithParam<DataType> {};

TEST_P(FrozenScales, GiveAnImageTheSameResultInAnyBatch) {
  if (GetParam() == DataType::kBF16 && !cpu_has_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  const LayerCase c{"quantized_conv", "batches", {{"data", {4, 3, 9, 7}}}, kTwoConvs};
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
    CaseNetwork built(c.sources, c.layers);
    const CaseBatch batch = fill(c, built, 3, false);
    ExecutorOptions options;
    options.type = GetParam();
    options.layout = layout;
    for (const char* buffer : {"a/src_scale", "b/src_scale"})
      built.network->buffer_data()[built.buffer(buffer).offset] = 1.7F;
    EXPECT_EQ(results(built, batch.nhwc, 4, options), results(built, batch.nhwc, 1, options));
    for (const char* buffer : {"a/src_scale", "b/src_scale"})
      built.network->buffer_data()[built.buffer(buffer).offset] = 0.0F;
    EXPECT_NE(results(built, batch.nhwc, 4, options), results(built, batch.nhwc, 1, options))
        << "scales of each batch: the images of this test do not depend on one another";
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FrozenScales, ::testing::Values(DataType::kF32, DataType::kBF16),
                         [](const auto& test) { return std::string(to_string(test.param)); });

/// Kernels with bf16 operands serve the forward pass exactly as long as sums stay below 2^24.
TEST(QuantizedConvKernel, TakesBFloat16WhereSumsAreExact) {
  const auto kernel_of = [](const std::string& keys) {
    const CaseNetwork built({{"data", {2, 64, 6, 6}}},
                            "[layer.conv]\ntype = quantized_conv\nchannels = 32\nkernel = 3\n" + keys);
    ExecutorOptions options;
    options.batch = 2;
    options.skip = false;  // else it multiplies levels in whole numbers
    const Executor executor(*built.network, options);
    for (const OperationInfo& row : executor.operations()) {
      if (row.name == "conv") return row.kernel;
    }
    return std::string("no such layer");
  };
  const bool bf16 = cpu_has_bf16();
  EXPECT_EQ(kernel_of("activation_bits = 3").find("bf16") != std::string::npos, bf16);
  EXPECT_EQ(kernel_of("activation_bits = 8").find("bf16"), std::string::npos);  // 255 * 255 * 576
  EXPECT_EQ(kernel_of("activation_bits = 8\nweight_levels = signed\nweight_bits = 7").find("bf16") != std::string::npos,
            bf16);  // 255 * 63 * 576
  EXPECT_EQ(kernel_of("activation_bits = 0").find("bf16"), std::string::npos);
  EXPECT_EQ(kernel_of("activation_bits = 9\nweight_bits = 2").find("bf16"), std::string::npos);
}

/// Without VNNI, where 16 bits hold the transformed levels.
TEST(QuantizedConvKernel, GoesByWinogradToTheSameBits) {
  const bool expected = cpu_isa() != Isa::kPortable && !cpu_has_vnni();
  for (const std::string bits : {"weight_bits = 8\nactivation_bits = 3\n", "weight_bits = 2\nactivation_bits = 4\n",
                                 "weight_bits = 1\nactivation_bits = 2\nactivation_levels = bipolar\n"}) {
    const LayerCase c{"quantized_conv",
                      "winograd",
                      {{"data", {3, 32, 9, 11}}},
                      "[layer.conv]\ntype = quantized_conv\nchannels = 48\nkernel = 3\npad = 1\n" + bits +
                          "[layer.bound]\ntype = pact_relu\n"};
    CaseNetwork built(c.sources, c.layers);
    const CaseBatch batch = fill(c, built, 3, false);
    for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
      ExecutorOptions options;
      options.batch = 3;
      options.layout = layout;
      options.skip = false;
      const std::vector<float> fast = results(built, batch.nhwc, 3, options);
      const std::string kernel = Executor(*built.network, options).operations().front().kernel;
      EXPECT_EQ(kernel.find("wino") != std::string::npos, expected) << kernel;
      options.winograd = false;
      EXPECT_EQ(results(built, batch.nhwc, 3, options), fast) << bits;
    }
  }
}

TEST(QuantizedConvCosts, CountBitOperations) {
  const auto costs = [](const std::string& keys) {
    const CaseNetwork built({{"data", {1, 3, 6, 5}}},
                            "[layer.conv]\ntype = quantized_conv\nchannels = 4\nkernel = 3\n" + keys);
    return built.network->nodes().front().declared.costs.at(0);
  };
  constexpr std::int64_t kMacs = 4 * 3 * 3 * 3 * 4 * 3;
  EXPECT_EQ(costs("").macs, kMacs);
  EXPECT_EQ(costs("weight_bits = 2\nactivation_bits = 3").bit_operations(), kMacs * 2 * 3);
  EXPECT_EQ(costs("weight_bits = 0\nactivation_bits = 3").bit_operations(), kMacs * 32 * 3);
  EXPECT_EQ(costs("weight_bits = 1\nactivation_bits = 0").bit_operations(), kMacs * 32);
}

}  // namespace
}  // namespace sluice
