// Keys of `[optimizer]` and `[group.NAME]`: defaults by type, groups, exact messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/train/optimizer.hpp"

namespace sluice {
namespace {

const std::vector<ParameterRange> kRanges = {
    {"conv1.weight", "weights", 0, 8}, {"bn1.weight", "norm", 8, 2}, {"fc.bias", "bias", 10, 2}};

OptimizerOptions read(Config& config) {
  OptimizerOptions options = OptimizerOptions::read(config);
  options.check_groups(kRanges, config);
  config.check();
  return options;
}

std::string errors_of(const std::string& text) {
  Config config = Config::parse(text, "a.ini");
  try {
    read(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(OptimizerKeys, DefaultsDependOnTheType) {
  Config plain = Config::parse("", "a.ini");
  const OptimizerOptions sgd = read(plain);
  EXPECT_EQ(sgd.lr, 0.1);
  EXPECT_EQ(sgd.momentum, 0.9);
  EXPECT_EQ(sgd.weight_decay, 0);
  Config config = Config::parse("[optimizer]\ntype = adamw\n", "a.ini");
  const OptimizerOptions adamw = read(config);
  EXPECT_EQ(adamw.lr, 0.001);
  EXPECT_EQ(adamw.weight_decay, 0.01);
}

TEST(OptimizerKeys, GroupsStartFromWhatTheOptimizerSays) {
  Config config = Config::parse(
      "[optimizer]\nweight_decay = 5e-4\nno_decay = norm, bias\n[group.bias]\nlr_scale = "
      "2\n[group.weights]\nweight_decay = "
      "1e-3\n",
      "a.ini");
  const OptimizerOptions options = read(config);
  EXPECT_EQ(options.group("norm").weight_decay, 0);
  EXPECT_EQ(options.group("norm").lr_scale, 1);
  EXPECT_EQ(options.group("bias").weight_decay, 0);
  EXPECT_EQ(options.group("bias").lr_scale, 2);
  EXPECT_EQ(options.group("weights").weight_decay, 1e-3);
  EXPECT_EQ(options.group("threshold").weight_decay, 5e-4);
}

TEST(OptimizerKeys, TheResolvedConfigurationLoadsBackToTheSame) {
  Config config =
      Config::parse("[optimizer]\nweight_decay = 5e-4\nno_decay = norm\n[group.norm]\nlr_scale = 2\n", "a.ini");
  const OptimizerOptions first = read(config);
  Config again = Config::parse(config.resolved(), "resolved.ini");
  const OptimizerOptions second = read(again);
  EXPECT_EQ(second.group("norm").weight_decay, 0);
  EXPECT_EQ(second.group("norm").lr_scale, first.group("norm").lr_scale);
  EXPECT_EQ(second.weight_decay, first.weight_decay);
  EXPECT_EQ(second.no_decay, first.no_decay);
}

TEST(OptimizerKeys, UnknownGroupsAreErrorsThatListTheGroups) {
  EXPECT_EQ(
      errors_of("[optimizer]\nlr = 0.1\nno_decay = norms, bias\n[group.bound]\nlr_scale = 2\n"),
      "a.ini:3: [optimizer] no_decay: the network has no parameter group 'norms'; it has bias, norm, weights (did you "
      "mean 'norm'?)\n"
      "a.ini:4: [group.bound]: the network has no parameter group 'bound'; it has bias, norm, weights");
}

TEST(OptimizerKeys, BadValuesAreNamed) {
  EXPECT_EQ(errors_of("[optimizer]\nlr = 0\n"), "a.ini:2: [optimizer] lr: expected a number above 0, got '0'");
  EXPECT_EQ(errors_of("[optimizer]\nclip_norm = 1\nclip_value = 2\n"),
            "a.ini:3: [optimizer] clip_value: cannot be combined with clip_norm; set one of them to 0");
  EXPECT_EQ(
      errors_of("[optimizer]\ntype = lars\nclip_value = 2\n"),
      "a.ini:3: [optimizer] clip_value: cannot be combined with type = lars, which scales by norms; use clip_norm");
  EXPECT_EQ(errors_of("[optimizer]\nmomentum = 0\nnesterov = yes\n"),
            "a.ini:3: [optimizer] nesterov: needs momentum above 0");
  EXPECT_EQ(errors_of("[optimizer]\nmomentum = 1\n"),
            "a.ini:2: [optimizer] momentum: expected a number below 1, got 1");
  EXPECT_EQ(errors_of("[optimizer]\ntype = adamw\nbetas = 0.9\n"),
            "a.ini:3: [optimizer] betas: expected two numbers from 0 to below 1, such as 0.9, 0.999");
  EXPECT_EQ(errors_of("[optimizer]\ntype = adamw\nbetas = 0.9, 1\n"),
            "a.ini:3: [optimizer] betas: expected two numbers from 0 to below 1, such as 0.9, 0.999");
  EXPECT_EQ(errors_of("[group.norm]\nlr_scale = -1\n"),
            "a.ini:2: [group.norm] lr_scale: expected a number of at least 0, got '-1'");
}

TEST(OptimizerKeys, KeysOfTheOtherTypeAreWarnedAbout) {
  Config config = Config::parse("[optimizer]\nmomentum = 0.9\n", "a.ini", {"--optimizer.type=adamw"});
  read(config);
  EXPECT_EQ(config.diagnostics().warnings(),
            std::vector<std::string>{"a.ini:2: [optimizer] momentum: has no effect with type = adamw"});
}

TEST(OptimizerKeys, AllAreDocumented) {
  Keys keys;
  OptimizerOptions().describe(keys);
  std::vector<std::string> names;
  for (const KeyDoc& doc : keys.docs()) names.push_back(doc.name);
  EXPECT_THAT(names, testing::ElementsAre("type", "lr", "momentum", "nesterov", "betas", "eps", "trust", "weight_decay",
                                          "no_decay", "clip_norm", "clip_value"));
}

}  // namespace
}  // namespace sluice
