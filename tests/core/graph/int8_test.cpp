// Networks of inference in int8: which results go in int8, and that all ways to compute them give the same levels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/base/cpu.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 3;

std::string conv(const std::string& name, const std::string& channels, const std::string& more = "") {
  return "[layer." + name + "]\ntype = conv\nkernel = 3\npad = 1\nchannels = " + channels + "\n" + more + "[layer." +
         name + "_bn]\ntype = batchnorm\n";
}

std::string relu(const std::string& name) {
  return "[layer." + name + "]\ntype = relu\n";
}

std::string add(const std::string& name, const std::string& from) {
  return "[layer." + name + "]\ntype = add\nfrom = " + from + "\n";
}

/// Every kind of result there is: with its readers, and what is added in int8 and in floats.
const std::string kNetwork =
    "[network]\ninput = 3x8x10\n" + conv("stem", "16") + relu("relu0") +                               // int8
    conv("a", "16") + relu("relu1") +                                                                  // int8
    conv("b", "16") + add("sum1", "b_bn, relu0") + relu("relu2") +                                     // int8 + int8
    conv("c", "32", "stride = 2\n") + relu("relu3") + conv("d", "32") +                                // int8
    "[layer.shortcut]\ntype = pad_shortcut\nfrom = relu2\nchannels = 32\nstride = 2\n" +               // int8, copied
    add("sum2", "d_bn, shortcut") + relu("relu4") +                                                    // int8 + int8
    conv("e", "32") + conv("f", "32", "from = relu4\n") + add("sum3", "f_bn, e_bn") + relu("relu5") +  // int8 + floats
    conv("g", "32") + add("sum4", "g_bn, relu5") + relu("relu6") +                                     // floats + int8
    "[layer.max]\ntype = max_pool\nkernel = 2\n" + conv("h", "24") +
    "[layer.clip]\ntype = clip\nlow = 0\nhigh = 1\n" +  // int8
    "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 5\n"
    "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";

const std::vector<std::string> kInInt8 = {"relu0", "relu1", "relu2", "relu3", "relu4", "relu5", "clip"};

/// The layers of a network up to one, whose channels' means are the answer.
std::string up_to(const std::string& layer, const std::string& network = kNetwork) {
  const std::size_t begin = network.find("[layer." + layer + "]");
  return network.substr(0, network.find("[layer.", begin + 1)) + "[layer.means]\ntype = global_pool\n";
}

/// The network with filters of one pixel, which multiply int8 on every processor.
std::string of_pixels() {
  const std::string old = "kernel = 3\npad = 1\n";
  std::string text = kNetwork;
  for (std::size_t at = 0; (at = text.find(old, at)) != std::string::npos;)
    text.replace(at, old.size(), "kernel = 1\n");
  return text;
}

class Int8Network : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_has_vnni()) GTEST_SKIP() << "dense networks of filters 3x3 stay in floats without VNNI";
  }

  static ExecutorOptions options(bool int8) {
    ExecutorOptions options = options_of(Mode::kInference, kImages);
    options.int8 = int8;
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    return options;
  }

  static std::vector<float> answer(Executor& executor, Network& network) {
    executor.refresh();
    Batch(network, kImages, 5, 4).give(executor);
    executor.forward();
    const Tensor logits = executor.logits();
    return {logits.as<const float>(), logits.as<const float>() + logits.desc.count()};
  }

  static void calibrate(Network& network) {
    Executor floats(network, options(false));
    answer(floats, network);
    network.set_calibration({floats.largest_sources()});
  }

  /// Every number, to within a share of the largest.
  static void expect_near(const std::vector<float>& got, const std::vector<float>& want, float rounding) {
    ASSERT_EQ(got.size(), want.size());
    const float largest = *std::max_element(want.begin(), want.end());
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], rounding * largest) << i;
  }
};

class Int8PixelNetwork : public Int8Network {
 protected:
  void SetUp() override {}
};

void expect_results_in_int8(Network& network, const ExecutorOptions& int8) {
  const Executor executor(network, int8);
  const auto desc = [&](const std::string& name) { return executor.result(network.find(name)).desc; };
  for (const std::string& name : kInInt8) {
    EXPECT_EQ(desc(name).type, DataType::kU8) << name;
    EXPECT_GT(desc(name).scale, 0) << name;
  }
  EXPECT_EQ(desc("shortcut").type, DataType::kU8);
  EXPECT_EQ(desc("shortcut").scale, desc("relu2").scale);
  for (const char* name : {"e_bn", "relu6", "max", "pool", "fc"}) EXPECT_EQ(desc(name).type, DataType::kF32) << name;
}

TEST_F(Int8Network, ResultsGoInInt8WhereAllReadersTakeThem) {
  const Built net(kNetwork);
  calibrate(*net);
  expect_results_in_int8(*net, options(true));
  EXPECT_LT(Executor(*net, options(true)).activation_bytes(), Executor(*net, options(false)).activation_bytes());
}

TEST_F(Int8PixelNetwork, ResultsGoInInt8WhereAllReadersTakeThem) {
  const Built net(of_pixels());
  calibrate(*net);
  expect_results_in_int8(*net, options(true));
}

TEST_F(Int8Network, LayoutsAndTypesWithoutKernelsStayInFloats) {
  const Built net(kNetwork);
  calibrate(*net);
  ExecutorOptions blocked = options(true);
  blocked.layout = ExecutorOptions::LayoutChoice::kBlocked;
  EXPECT_EQ(Executor(*net, blocked).result(net->find("relu1")).desc.type, DataType::kF32);
}

TEST_F(Int8Network, StaysNearTheOneInFloats) {
  for (const std::string& layer : kInInt8) {
    SCOPED_TRACE(layer);
    const Built net(up_to(layer));
    calibrate(*net);
    Executor floats(*net, options(false)), int8(*net, options(true));
    expect_near(answer(int8, *net), answer(floats, *net), 0.05F);
  }
}

/// Weights that are levels already.
void round_weights(Network& network) {
  for (const Parameter& p : network.parameters()) {
    if (p.shape.rank() != 4) continue;
    const std::int64_t each = p.shape.count() / p.shape[0];
    for (std::int64_t o = 0; o < p.shape[0]; ++o) {
      float* const own = network.parameter_data() + p.offset + o * each;
      for (std::int64_t i = 0; i < each; ++i) own[i] = std::nearbyint(std::clamp(own[i], -0.5F, 0.5F) * 254) / 254;
      own[0] = 0.5F;
    }
  }
}

/// Then the ways of a convolution whose source is in int8 differ by nothing but sums' rounding.
TEST_F(Int8Network, WaysGiveTheSame) {
  std::size_t choices = 0;
  for (const char* layer : {"relu0", "relu1", "relu2", "relu3", "relu4", "relu5", "relu6"}) {
    SCOPED_TRACE(layer);
    const Built net(up_to(layer));
    round_weights(*net);
    calibrate(*net);
    Executor ints(*net, options(true)), floats(*net, options(true));
    const std::vector<OperationInfo> operations = floats.operations();
    choices = 0;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (operations[i].alternatives.empty()) continue;
      EXPECT_EQ(operations[i].alternatives, (std::vector<std::string>{"fp32", "int8"})) << operations[i].name;
      floats.choose(i, 0);
      ++choices;
    }
    expect_near(answer(ints, *net), answer(floats, *net), 1e-3F);
  }
  EXPECT_EQ(choices, 7U);  // a to g
}

TEST_F(Int8PixelNetwork, WaysGiveTheSame) {
  std::vector<std::string> ways = {"fp32", "int8"};
  if (!cpu_has_vnni()) ways.emplace_back("int8-product");
  for (const char* layer : {"relu0", "relu1", "relu2", "relu3", "relu4", "relu5", "relu6"}) {
    SCOPED_TRACE(layer);
    const Built net(up_to(layer, of_pixels()));
    round_weights(*net);
    calibrate(*net);
    std::vector<std::vector<float>> answers;
    for (std::size_t way = 0; way < ways.size(); ++way) {
      Executor executor(*net, options(true));
      const std::vector<OperationInfo> operations = executor.operations();
      for (std::size_t i = 0; i < operations.size(); ++i) {
        if (operations[i].alternatives.empty()) continue;
        EXPECT_EQ(operations[i].alternatives, ways) << operations[i].name;
        executor.choose(i, static_cast<int>(way));
      }
      answers.push_back(answer(executor, *net));
      expect_near(answers.back(), answers.front(), 1e-3F);
    }
  }
}

}  // namespace
}  // namespace sluice
