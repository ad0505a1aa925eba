// Networks of inference in bytes: which results go in bytes, and that all ways to compute them give the same levels.
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

/// Every kind of result there is: with its readers, and what is added in bytes and in floats.
const std::string kNetwork =
    "[network]\ninput = 3x8x10\n" + conv("stem", "16") + relu("relu0") +                               // bytes
    conv("a", "16") + relu("relu1") +                                                                  // bytes
    conv("b", "16") + add("sum1", "b_bn, relu0") + relu("relu2") +                                     // bytes + bytes
    conv("c", "32", "stride = 2\n") + relu("relu3") + conv("d", "32") +                                // bytes
    "[layer.shortcut]\ntype = pad_shortcut\nfrom = relu2\nchannels = 32\nstride = 2\n" +               // bytes, copied
    add("sum2", "d_bn, shortcut") + relu("relu4") +                                                    // bytes + bytes
    conv("e", "32") + conv("f", "32", "from = relu4\n") + add("sum3", "f_bn, e_bn") + relu("relu5") +  // bytes + floats
    conv("g", "32") + add("sum4", "g_bn, relu5") + relu("relu6") +                                     // floats + bytes
    "[layer.max]\ntype = max_pool\nkernel = 2\n" + conv("h", "24") +
    "[layer.clip]\ntype = clip\nlow = 0\nhigh = 1\n" +  // bytes
    "[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nchannels = 5\n"
    "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";

class ByteNetwork : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_has_vnni()) GTEST_SKIP() << "dense networks stay in floats without VNNI";
    Executor floats(*built_, options(false));
    give(floats);
    built_->set_source_ranges(floats.largest_sources());
  }

  static ExecutorOptions options(bool bytes) {
    ExecutorOptions options = options_of(Mode::kInference, kImages);
    options.bytes = bytes;
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    return options;
  }

  void give(Executor& executor) const {
    executor.refresh();
    Batch(*built_, kImages, 5, 4).give(executor);
    executor.forward();
  }

  Tensor result(const Executor& executor, const std::string& name) const { return executor.result(built_->find(name)); }

  static void expect_near(Executor& a, Executor& b, double rounding) {
    const std::map<std::string, double> of_a = a.largest_sources(), of_b = b.largest_sources();
    ASSERT_EQ(of_a.size(), of_b.size());
    for (const auto& [layer, most] : of_b) EXPECT_NEAR(of_a.at(layer), most, rounding * most) << layer;
    const Tensor answer = a.logits(), other = b.logits();
    double largest = 0;
    for (std::int64_t i = 0; i < other.desc.count(); ++i)
      largest = std::max(largest, std::abs(static_cast<double>(other.as<const float>()[i])));
    for (std::int64_t i = 0; i < other.desc.count(); ++i)
      EXPECT_NEAR(answer.as<const float>()[i], other.as<const float>()[i], rounding * largest);
  }

  const Built built_{kNetwork};
};

TEST_F(ByteNetwork, ResultsGoInBytesWhereAllReadersTakeThem) {
  const Executor executor(*built_, options(true));
  for (const char* name : {"relu0", "relu1", "relu2", "relu3", "shortcut", "relu4", "relu5", "clip"}) {
    EXPECT_EQ(result(executor, name).desc.type, DataType::kU8) << name;
    EXPECT_GT(result(executor, name).desc.step, 0) << name;
  }
  EXPECT_EQ(result(executor, "shortcut").desc.step, result(executor, "relu2").desc.step);
  for (const char* name : {"e_bn", "relu6", "max", "pool", "fc"})
    EXPECT_EQ(result(executor, name).desc.type, DataType::kF32) << name;
  EXPECT_LT(executor.activation_bytes(), Executor(*built_, options(false)).activation_bytes());
}

/// Of each layer, what its source holds at most when its turn has come; and the answer.
TEST_F(ByteNetwork, StaysNearTheOneInFloats) {
  Executor floats(*built_, options(false)), bytes(*built_, options(true));
  give(floats);
  give(bytes);
  expect_near(bytes, floats, 0.03);
}

/// Weights that are levels already: then the ways differ by nothing but sums' rounding.
TEST_F(ByteNetwork, WaysGiveTheSameLevels) {
  for (const Parameter& p : built_->parameters()) {
    if (p.group != "weights" || p.shape.rank() != 4) continue;
    float* const weights = built_->parameter_data() + p.offset;
    const std::int64_t each = p.shape.count() / p.shape[0];
    for (std::int64_t o = 0; o < p.shape[0]; ++o) {
      float* const own = weights + o * each;
      own[0] = 0.5F;
      for (std::int64_t i = 1; i < each; ++i) own[i] = std::nearbyint(std::clamp(own[i], -0.5F, 0.5F) * 254) / 254;
    }
  }
  Executor ints(*built_, options(true)), floats(*built_, options(true));
  std::int64_t choices = 0;
  const std::vector<OperationInfo> operations = floats.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].alternatives.empty()) continue;
    EXPECT_EQ(operations[i].alternatives, (std::vector<std::string>{"fp32", "int8"})) << operations[i].name;
    if (operations[i].name != "h") floats.choose(i, 0);  // its source is in floats, and one way alone rounds it
    ++choices;
  }
  EXPECT_EQ(choices, 7);  // a to f, and h behind a pooling; what g adds is not like its result
  give(ints);
  give(floats);
  expect_near(ints, floats, 0.01);
}

}  // namespace
}  // namespace sluice
