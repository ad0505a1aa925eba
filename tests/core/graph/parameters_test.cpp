// An inference that is all its network is for gives the parameters' memory back, and answers as before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/graph/parameter_use.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kImages = 3;
const char kGone[] =
    "the network's parameters were given back when an executor had packed them; load the network again";

/// What an internal error says.
template <class Function>
std::string error_text(Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    return error.what();
  }
  return "no error";
}

std::vector<float> answer(Executor& executor, const Network& network) {
  Batch(network, kImages, 5, 4).give(executor);
  executor.forward();
  return logits_of(executor);
}

/// A bias and a batch normalisation that run by themselves, and weights that have two users.
const std::string kNetwork = R"([network]
input = 3x8x8
[layer.first]
type = conv
channels = 3
kernel = 3
pad = 1
bias = yes
[layer.max]
type = max_pool
kernel = 2
[layer.norm]
type = batchnorm
[layer.again]
type = conv
channels = 3
kernel = 3
pad = 1
bias = yes
share = first
[layer.again_norm]
type = batchnorm
[layer.relu]
type = relu
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 5
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

/// Parameters other than 0 and 1, so that a wrong one shows.
void disturb(Network& network) {
  for (std::int64_t i = 0; i < network.parameter_count(); ++i)
    network.parameter_data()[i] += 0.01F * static_cast<float>(i % 7);
}

void expect_same_answer(const std::string& ini, ExecutorOptions options) {
  const Built kept(ini), given(ini);
  disturb(*kept);
  disturb(*given);
  Executor usual(*kept, options), only(*given, options);
  usual.refresh();
  only.refresh_and_give_back();
  EXPECT_TRUE(kept->has_parameters());
  EXPECT_FALSE(given->has_parameters());
  const std::vector<float> want = answer(usual, *kept);
  for (int time = 0; time < 2; ++time) EXPECT_TRUE(same_bits(answer(only, *given), want));
}

TEST(GivingBack, ChangesNoAnswer) {
  for (const std::string& ini : {kNetwork, residual_ini(true)}) {
    ExecutorOptions options = options_of(Mode::kInference, kImages);
    expect_same_answer(ini, options);
    options.fuse = false;
    expect_same_answer(ini, options);
    options.layout = ExecutorOptions::LayoutChoice::kNhwc;
    expect_same_answer(ini, options);
  }
}

TEST(GivingBack, LeavesANetworkThatSaysSo) {
  const Built net(residual_ini());
  Executor executor(*net, options_of(Mode::kInference, kImages));
  executor.refresh_and_give_back();
  EXPECT_EQ(error_text([&] { net->parameter_data(); }), kGone);
  EXPECT_EQ(error_text([&] { executor.refresh(); }), kGone);
  EXPECT_EQ(error_text([&] { executor.refresh_and_give_back(); }), kGone);
  EXPECT_EQ(error_text([&] { net->initialise(1); }), kGone);
  EXPECT_EQ(error_text([&] { const Executor another(*net, options_of(Mode::kTraining, 2)); }), kGone);
}

TEST(GivingBack, IsForTheOnlyExecutor) {
  const Built net(residual_ini());
  Executor executor(*net, options_of(Mode::kInference, kImages));
  {
    Executor another(*net, options_of(Mode::kInference, 1));
    EXPECT_EQ(error_text([&] { executor.refresh_and_give_back(); }),
              "the network's parameters cannot be given back: another executor uses them; refresh it alone");
    another.refresh();
    executor.refresh();
  }
  executor.refresh_and_give_back();
  EXPECT_FALSE(net->has_parameters());
}

TEST(ParametersInUse, AreReadInForwardOrPacked) {
  const Built net(kNetwork);
  const ExecutionPlan plan = plan_execution(*net, options_of(Mode::kInference, kImages));
  ASSERT_EQ(plan.own_node(plan.operations[0]).name, "first");
  EXPECT_THAT(read_in_forward(plan.operations[0]), ElementsAre(1));  // its bias
  for (const PlannedOperation& op : plan.operations) {
    const std::string& name = plan.own_node(op).name;
    if (name == "norm") {
      EXPECT_THAT(read_in_forward(op), ElementsAre(0, 1));
    }
    if (name == "relu" || name == "max") {
      EXPECT_THAT(read_in_forward(op), IsEmpty());
    }
  }
}

TEST(ParametersInUse, GoWhenTheirFirstUserHasThem) {
  const Built net(kNetwork);
  const ExecutionPlan plan = plan_execution(*net, options_of(Mode::kInference, kImages));
  const std::vector<std::int64_t> from = packed_from(plan);
  const auto end_of = [&](const std::string& path) {
    for (const Parameter& p : net->parameters()) {
      if (p.path() == path) return p.offset + p.shape.count();
    }
    return std::int64_t{-1};
  };
  std::map<std::string, std::int64_t> by_name;
  for (std::size_t i = 0; i < from.size(); ++i) by_name[plan.own_node(plan.operations[i]).name] = from[i];
  EXPECT_EQ(by_name.at("first"), 0);
  for (const char* name : {"max", "norm", "again"}) EXPECT_EQ(by_name.at(name), end_of("first/weight")) << name;
  for (const char* name : {"pool", "fc"}) EXPECT_EQ(by_name.at(name), end_of("again_norm/bias")) << name;
  EXPECT_EQ(by_name.at("loss"), end_of("fc/weight"));
}

/// An operation with a choice in int8, where there are kernels for it.
TEST(AKnownWay, IsMadeAlone) {
  const Built net(residual_ini());
  ExecutorOptions options = options_of(Mode::kInference, kImages);
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  {
    Executor floats(*net, options);
    floats.refresh();
    answer(floats, *net);
    net->set_calibration({floats.largest_sources()});
  }
  options.int8 = true;
  Executor both(*net, options);
  both.refresh();
  const std::vector<OperationInfo> operations = both.operations();
  std::size_t choices = 0;
  for (int way = 0; way < 2; ++way) {
    ExecutorOptions known = options;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (operations[i].alternatives.empty()) continue;
      ++choices;
      both.choose(i, way);
      known.kernels[operations[i].name] = operations[i].alternatives[static_cast<std::size_t>(way)];
    }
    known.kernels["no such layer"] = "int8";
    Executor one(*net, known);
    one.refresh();
    for (const OperationInfo& operation : one.operations()) EXPECT_THAT(operation.alternatives, IsEmpty());
    EXPECT_TRUE(same_bits(answer(one, *net), answer(both, *net))) << way;
    if (choices > 0) {
      EXPECT_LT(one.kept_bytes(), both.kept_bytes()) << way;
    }
  }
  if (choices == 0) GTEST_SKIP() << "oneDNN has no kernels of int8 here";
}

}  // namespace
}  // namespace sluice
