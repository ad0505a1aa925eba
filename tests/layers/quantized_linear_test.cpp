// quantized_linear against its reference, and its meaning where rounding ties.
#include <cmath>
#include <limits>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string linear(std::int64_t weight_bits, std::int64_t activation_bits, const std::string& keys) {
  return concat("[layer.fc]\ntype = quantized_linear\nweight_bits = ", weight_bits,
                "\nactivation_bits = ", activation_bits, "\n", keys, "\n");
}

LayerCase make_case(const std::string& name, const CaseSource& src, std::int64_t weight_bits,
                    std::int64_t activation_bits, const std::string& keys) {
  LayerCase c{"quantized_linear", name, {src}, linear(weight_bits, activation_bits, keys)};
  if (weight_bits > 0) c.surrogates.push_back("fc/weight");
  if (activation_bits > 0) c.surrogates.push_back("x/value");
  return c;
}

void set_zeros(Network& network, const CaseBatch&) {
  for (const Parameter& p : network.parameters()) {
    for (std::int64_t i = p.name == "bias" ? p.shape.count() : 0; i < p.shape.count(); i += 4)
      network.parameter_data()[p.offset + i] = 0.0F;
  }
}

std::vector<LayerCase> quantized_linear_cases() {
  std::vector<LayerCase> cases;
  for (const std::int64_t weight_bits : {0, 1, 8}) {
    for (const std::int64_t activation_bits : {0, 1, 3})
      cases.push_back(make_case(concat("w", weight_bits, "a", activation_bits), {"x", {3, 11}, true}, weight_bits,
                                activation_bits, "features = 7"));
  }
  cases.push_back(make_case("image", {"x", {2, 3, 5, 4}}, 8, 8, "features = 6"));
  cases.push_back(make_case("blocks", {"x", {2, 32, 3, 2}}, 2, 4, "features = 6\nbias = no"));
  cases.push_back(make_case("plain_image", {"x", {2, 32, 3, 2}}, 0, 0, "features = 6"));
  cases.push_back(make_case("signed", {"x", {3, 11}, true}, 8, 8, "features = 5\nweight_levels = signed"));
  cases.push_back(make_case("dynamic", {"x", {3, 11}, true}, 3, 3, "features = 5\nscales = dynamic"));
  cases.push_back(make_case("image_scales", {"x", {3, 11}, true}, 3, 3, "features = 5\nscales = image"));
  cases.push_back(make_case("image_scales_4d", {"x", {3, 2, 3, 4}}, 8, 4, "features = 5\nscales = image"));
  for (LayerCase& c : cases) c.prepare = set_zeros;
  LayerCase first = make_case("first_layer", {"data", {2, 3, 2, 3}}, 4, 4, "features = 5");
  first.surrogates = {"fc/weight"};
  cases.push_back(first);
  const std::string bound = "\n[layer.pact]\ntype = pact_relu\ninit = 0.8";
  for (const auto& [name, keys] : {std::pair("pact", "features = 9" + bound),
                                   std::pair("clip", std::string("features = 9\n[layer.clip]\ntype = clip\nlow = -0.2"
                                                                 "\nhigh = 0.4"))}) {
    for (const std::int64_t weight_bits : {0, 8})
      cases.push_back(make_case(concat(name, weight_bits), {"x", {4, 11}, true}, weight_bits, 3, keys));
  }
  return cases;
}

std::vector<SemanticCase> quantized_linear_semantics() {
  SemanticCase ties{"quantized_linear", "ties", {{"x", {2, 3}, true, {0.5, 1.5, 2.5, 7, -0.5, -1.5}}}, {}};
  ties.layers = linear(0, 2, "features = 2");
  ties.state = {{"fc/weight", {1, 0, 0, 1, 10, 100}}, {"fc/bias", {0.5, 0}}, {"fc/src_scale", {3}}};
  ties.shape = {2, 2};
  ties.result = {0.5, 220, 3.5, 3 - 0 - 200};  // levels 0, 2, 2 and 3, 0, -2

  SemanticCase training{"quantized_linear", "training", {{"x", {1, 3}, true, {0, 4, -1}}}, {}};
  training.layers = linear(1, 4, "features = 1");  // 4 values of 15 levels: -1 is level -3.75, that is -4
  training.mode = Mode::kTraining;
  training.state = {{"fc/weight", {0.2, -0.7, 0}}, {"fc/bias", {0}}};
  const double rescale = std::sqrt(1.0 / 3), unit = 4.0 / 15;
  training.shape = {1, 1};
  training.result = {rescale * (-4 + 4 * unit)};  // weights 1, -1, -1
  training.upstream = {2};
  training.gradients = {{"x/value", {0, -2 * rescale, -2 * rescale}},
                        {"fc/weight", {0, 2 * rescale * 4, -2 * rescale * 4 * unit}},
                        {"fc/bias", {2}}};
  training.buffers_after = {{"fc/src_scale", {4}}};
  return {ties, training};
}

/// Two classifiers in a row: of what a convolution leaves in levels, and of what the first one does.
class QuantizedLinearLevels : public ::testing::Test {
 protected:
  QuantizedLinearLevels() : built_({{"data", {5, 3, 6, 7}}}, kLayers) {
    batch_ = fill({"quantized_linear", "levels", {{"data", {5, 3, 6, 7}}}, kLayers}, built_, 3, false);
    for (const char* buffer : {"conv/src_scale", "a/src_scale", "b/src_scale"})
      built_.network->buffer_data()[built_.buffer(buffer).offset] = 1.7F;
    built_.network->parameter_data()[built_.parameter("pact/upper_bound").offset] = 1.5F;
    options_.batch = 5;
  }

  std::vector<double> logits(const ExecutorOptions& options) {
    Executor executor(*built_.network, options);
    executor.refresh();
    std::vector<double> all;
    const std::int64_t pixels = built_.network->input_shape(1).count();
    for (std::int64_t first = 0; first < 5; first += options.batch) {
      executor.set_batch(batch_.nhwc.data() + first * pixels, nullptr);
      executor.forward();
      const std::vector<double> own = to_array(executor.logits()).values;
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

  static constexpr char kLayers[] =
      "[layer.conv]\ntype = quantized_conv\nchannels = 32\nkernel = 3\nactivation_bits = 3\n"
      "[layer.relu]\ntype = relu\n"
      "[layer.a]\ntype = quantized_linear\nfeatures = 40\nactivation_bits = 3\nweight_levels = signed\n"
      "[layer.pact]\ntype = pact_relu\ninit = 1.5\n"
      "[layer.b]\ntype = quantized_linear\nfeatures = 7\nactivation_bits = 4\n";
  CaseNetwork built_;
  CaseBatch batch_;
  ExecutorOptions options_;
};

TEST_F(QuantizedLinearLevels, GiveTheBitsOfFloatsInAnyBatch) {
  for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
    options_.layout = layout;
    ExecutorOptions floats = options_, single = options_;
    floats.skip = false;
    single.batch = 1;
    const std::vector<double> want = logits(floats);
    EXPECT_EQ(logits(options_), want);
    EXPECT_EQ(logits(single), want);
  }
}

TEST_F(QuantizedLinearLevels, NameTheirKernels) {
  const auto kernels = [&] {
    std::string all;
    const Executor executor(*built_.network, options_);
    for (const OperationInfo& row : executor.operations()) {
      if (row.name == "a" || row.name == "b") all += row.kernel + " ";
    }
    return all;
  };
  const std::string isa = to_string(cpu_isa());
  EXPECT_EQ(kernels(), "levels:" + isa + ":bytes levels:" + isa + " ");
  options_.skip = false;
  EXPECT_EQ(kernels().find("levels"), std::string::npos);
}

TEST_F(QuantizedLinearLevels, AnImageThatIsNoNumberSpoilsItsOwnAnswerAlone) {
  const std::vector<double> want = logits(options_);
  batch_.nhwc[static_cast<std::size_t>(built_.network->input_shape(1).count()) * 2] =
      std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> got = logits(options_);
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (i / 7 == 2) {
      EXPECT_TRUE(std::isnan(got[i])) << i;
    } else {
      EXPECT_EQ(got[i], want[i]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(QuantizedLinear, LayerCases, ::testing::ValuesIn(quantized_linear_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(QuantizedLinear, SemanticCases, ::testing::ValuesIn(quantized_linear_semantics()), case_name);

}  // namespace
}  // namespace sluice
