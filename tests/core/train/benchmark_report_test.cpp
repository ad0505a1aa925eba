// What a benchmark says of its rates: never a share of the peak above 100 %.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/train/benchmark.hpp"
#include "core/train/experiment.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

PhaseResult phase(double gflops, const std::string& kernel, const std::vector<std::string>& alternatives = {}) {
  PhaseResult result;
  result.gflops = gflops;
  result.operations.emplace_back();
  result.operations.back().kernel = kernel;
  result.operations.back().alternatives = alternatives;
  return result;
}

TEST(RateText, IsAShareOfThePeakOnlyWhereItIsOne) {
  EXPECT_EQ(rate_text(phase(50, "jit:avx512_core"), 100), "50 GFLOP/s = 50 % of the measured peak of 100");
  EXPECT_EQ(rate_text(phase(50, "sluice_wino:avx512"), 100),
            "50 GFLOP/s of dense work = 50 % of the measured peak of 100");
  EXPECT_EQ(rate_text(phase(177, "sluice_wino:avx512"), 99),
            "177 GFLOP/s of dense work, more than the measured peak of 99: Winograd's algorithm or layers that skip "
            "leave out a part "
            "of that work");
  EXPECT_EQ(rate_text(phase(177, "skip", {"dots", "all"}), 99),
            "177 GFLOP/s of dense work, more than the measured peak of 99: Winograd's algorithm or layers that skip "
            "leave out a part "
            "of that work");
}

TEST(Plan, IsATableWithAColumnForEachWay) {
  const TimedKernel gated{"conv1", {"dots", "all"}, {1.25, 0.5}, 1}, quantised{"conv2", {"floats", "int8"}, {2, 3}, 0};
  std::ostringstream plan, none, twins;
  print_plan(plan, {gated, quantised}, "4 test images", 80);
  EXPECT_EQ(plan.str(),
            "plan: milliseconds for 4 test images of the way that a layer runs, and of each that it could\n"
            "  layer  runs       ms  dots    all  floats  int8\n"
            "  conv1  all     0.500  1.25  0.500\n"
            "  conv2  floats   2.00                 2.00  3.00\n"
            "  docs/glossary.md says what each way is\n");
  print_plan(none, {}, "", 80);
  EXPECT_EQ(none.str(), "plan: empty, no layer of this network can run in several ways\n");
  KernelRow swept{gated, {{1}}, {{1.5}}, 0.375, 0.75, std::nullopt, true}, other{quantised, {{4}}, {{5}}};
  print_kernels(twins, {swept, other}, 70);
  EXPECT_THAT(twins.str(), testing::EndsWith("  layer  runs       ms  dots    all  floats  twin  density    even\n"
                                             "  conv1  all     0.500  1.25  0.500          1.00   37.5 %  75.0 %\n"
                                             "  conv2  floats   2.00                 2.00  4.00\n"
                                             "  no room for: int8, direct twin, even with direct\n"
                                             "  docs/glossary.md says what each way is\n"));
}

TEST(Plan, SaysNothingOfTwinsThatThereAreNot) {
  const TimedKernel first{"conv1", {"dots", "all"}, {1.25, 0.5}, 1}, second{"conv2", {"dots", "all"}, {2, 3}, 0};
  std::ostringstream alone, one;
  print_kernels(alone, {{first}, {second}}, 80);
  EXPECT_EQ(alone.str(),
            "\nplan: milliseconds of the way that a layer runs, and of each that it could\n"
            "  layer  runs     ms  dots    all\n"
            "  conv1  all   0.500  1.25  0.500\n"
            "  conv2  dots   2.00  2.00   3.00\n"
            "  docs/glossary.md says what each way is\n");
  KernelRow with_twin{first, {{1}}, {{1.5}}, 0.375, 0.75, std::nullopt, true}, without{second};
  without.density = 0.5;
  without.swept = true;
  print_kernels(one, {with_twin, without}, 100);
  EXPECT_THAT(one.str(), testing::EndsWith(
                             "  layer  runs     ms  dots    all  twin  direct twin  density    even  even with direct\n"
                             "  conv1  all   0.500  1.25  0.500  1.00         1.50   37.5 %  75.0 %              none\n"
                             "  conv2  dots   2.00  2.00   3.00                      50.0 %\n"
                             "  docs/glossary.md says what each way is\n"));
}

TEST(Plan, KeepsTheWaysThatRun) {
  const TimedKernel kernel{"conv1", {"dots", "lanes", "hybrid"}, {3, 2, 1}, 2};
  std::ostringstream plan;
  print_plan(plan, {kernel}, "4 test images", 41);
  EXPECT_THAT(plan.str(), testing::EndsWith("  layer  runs      ms  dots  hybrid\n"
                                            "  conv1  hybrid  1.00  3.00    1.00\n"
                                            "  no room for: lanes\n"
                                            "  docs/glossary.md says what each way is\n"));
  std::ostringstream narrow;
  print_plan(narrow, {kernel}, "4 test images", 30);
  EXPECT_THAT(narrow.str(), testing::EndsWith("  layer  runs      ms  hybrid\n"
                                              "  conv1  hybrid  1.00    1.00\n"
                                              "  no room for: dots, lanes\n"
                                              "  docs/glossary.md says what each way is\n"));
}

TEST(Plan, SaysWhereTimesVaryMuch) {
  EXPECT_EQ(unquiet_text("layers", {{"conv1", 0.2}, {"conv2", 0}}), "");
  EXPECT_EQ(unquiet_text("layers", {{"conv1", 0.21}, {"conv2", 0.454}, {"conv3", 0.1}}),
            "the times of 2 of 3 layers vary by more than 20 % between repetitions (conv2 by 45 %): the machine is not "
            "quiet, figures are uncertain");
  // Of a way that does not run it is not said; of a twin it is.
  const TimedKernel kernel{"conv1", {"dots", "all"}, {1.25, 0.5}, 1, {0.9, 0.1}};
  std::ostringstream plan, twins;
  print_plan(plan, {kernel}, "4 test images", std::nullopt);
  EXPECT_THAT(plan.str(), testing::Not(testing::HasSubstr("vary")));
  print_kernels(twins, {{kernel, {{1, 0.3}}, {{1.5, 0.1}}}}, std::nullopt);
  EXPECT_THAT(twins.str(),
              testing::EndsWith("\n  the times of 1 of 1 layers vary by more than 20 % between repetitions "
                                "(conv1 by 30 %): the machine is not quiet, figures are uncertain\n"));
}

TEST(Benchmark, SaysWhereTimesOfPhasesVaryMuch) {
  Registry registry;
  register_layers(registry);
  const char* const kNetwork =
      "[network]\ninput = 1x4x4\n[layer.flat]\ntype = flatten\n[layer.fc]\ntype = linear\nfeatures = 3\n"
      "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n[data]\nkind = synthetic\n";
  const Experiment experiment(Config::parse(kNetwork, "net.ini"), registry);
  BenchmarkResult result;
  result.training = phase(50, "jit");
  result.training.batch = 8;
  result.training.spread = 0.31;
  result.inference = result.training;
  result.inference.spread = 0.1;
  result.twins = {{"dense", result.inference}, {"dense_direct", result.inference}};
  result.twins[1].phase.spread = 0.45;
  const auto print = [&] {
    std::ostringstream text;
    print_benchmark(text, experiment, result, std::nullopt);
    return text.str();
  };
  EXPECT_THAT(print(),
              testing::HasSubstr("\nthe times of 2 of 4 phases vary by more than 20 % between repetitions (dense "
                                 "twin with direct convolutions by 45 %): the machine is not quiet, figures are "
                                 "uncertain\n\npeak memory"));
  std::ostringstream json;
  print_json_benchmark(json, experiment, result);
  EXPECT_THAT(json.str(), testing::HasSubstr("\"train_spread\": 0.31,"));
  EXPECT_THAT(json.str(), testing::HasSubstr("\"infer_dense_direct_spread\": 0.45,"));
  result.twins.clear();
  result.training.spread = 0.2;
  EXPECT_THAT(print(), testing::Not(testing::HasSubstr("vary")));
  EXPECT_THAT(print(), testing::HasSubstr("\n\npeak memory"));
}

}  // namespace
}  // namespace sluice
