// A whole experiment: mistakes of every kind are reported together, and its resolved configuration is the same
// experiment.
#include "core/train/experiment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "core/base/error.hpp"
#include "core/config/compare.hpp"
#include "core/config/config.hpp"
#include "core/config/text.hpp"
#include "core/graph/network.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using testing::IsEmpty;

const char kNetwork[] = R"([define]
conv = conv
[network]
input = 3x8x8
[layer.conv1]
type = ${conv}
channels = 4
kernel = 3
pad = 1
[layer.stage]
block = basic
repeat = 2
channels = 6
stride = 2
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 10
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[block.basic]
parameters = channels, stride=1
first_only = stride
[block.basic.conv1]
type = ${conv}
channels = ${channels}
stride = ${stride}
kernel = 3
pad = 1
[block.basic.bn1]
type = batchnorm
[block.basic.relu]
type = relu
[data]
kind = synthetic
[type.conv]
bias = no
)";

Registry registry() {
  Registry registry;
  register_layers(registry);
  return registry;
}

std::string known_types() {
  return join(registry().types());
}

std::string errors_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const Registry types = registry();
  try {
    const Experiment experiment(Config::parse(text, "net.ini", overrides), types);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

TEST(ExperimentErrors, MistakesOfEveryKindAreReportedTogether) {
  std::string text = replaced(kNetwork, "input = 3x8x8", "input = 3x8x8\ninput = 3x9x9");
  text = replaced(text, "kernel = 3\npad = 1\n[layer.stage]", "kernel = 0\npad = 1\n[layer.stage]");
  text = replaced(text, "type = relu", "type = rleu");
  text = replaced(text, "kernel = 3\npad = 1\n[block", "kernal = 3\npad = 1\n[block");
  text = replaced(text, "type = linear\nfeatures = 10", "type = linear\nfeatures = ${classes}");
  text += "[trian]\nepochs = 3\n[train]\nbatch = 0\n[type.lineer]\nbias = no\n";
  EXPECT_EQ(errors_of(text, {"--optimizer.momentun=0.9"}),
            "net.ini:5: [network] input: the key stands already in line 4\n"
            "net.ini:9: [layer.conv1] kernel: expected an integer of at least 1, got '0'\n"
            "net.ini:20: [layer.fc] features: unknown name ${classes}; known names: conv\n"
            "net.ini:27: [block.basic.conv1] kernel: required key is missing; expected an integer of at least 1\n"
            "net.ini:31: [block.basic.conv1] kernal: unknown key; did you mean 'kernel'?\n"
            "net.ini:36: [block.basic.relu] type: unknown layer type 'rleu'; known types: " +
                known_types() +
                "; if it is a plug-in's, add --plugins.load=FILE.so; did you mean 'relu'?\n"
                "net.ini:41: [trian]: unknown section; did you mean 'train'?\n"
                "net.ini:44: [train] batch: expected an integer from 1 to 1048576, got '0'\n"
                "net.ini:45: [type.lineer]: unknown layer type 'lineer'; did you mean 'linear'?\n"
                "command line: [optimizer] momentun: unknown key; did you mean 'momentum'?");
}

TEST(ExperimentErrors, AWrongTypeInABlockIsOneMistakeWithItsCause) {
  const std::string begin = "type: unknown layer type 'cnov'",
                    known = "; known types: " + known_types() + "; if it is a plug-in's, add --plugins.load=FILE.so",
                    end = "; did you mean 'conv'? (${conv} is set on the command line)";
  EXPECT_EQ(errors_of(kNetwork, {"--define.conv=cnov"}),
            "net.ini:6: [layer.conv1] " + begin + known + end + "\nnet.ini:27: [block.basic.conv1] " + begin + end);
}

TEST(Experiment, ItsResolvedConfigurationIsTheSameExperiment) {
  const Registry types = registry();
  const Experiment experiment(Config::parse(kNetwork, "net.ini", {"--train.batch=4"}), types);
  const std::string text = experiment.config.resolved();
  const Experiment again(Config::parse(text, "resolved.ini"), types);
  EXPECT_THAT(compare(experiment.config, again.config), IsEmpty()) << text;
  EXPECT_EQ(again.network().nodes().size(), experiment.network().nodes().size());
  EXPECT_EQ(again.network().parameters().size(), experiment.network().parameters().size());
  const Experiment third(Config::parse(again.config.resolved(), "resolved.ini"), types);
  EXPECT_EQ(third.config.resolved(), again.config.resolved());
}

/// The keys of a section that have a role, "batch, epochs".
std::string keys_with(const Section& section, KeyRole role) {
  std::vector<std::string> names;
  for (const std::string& key : section.known_keys()) {
    if (section.role_of(key).role == role) names.push_back(key);
  }
  std::sort(names.begin(), names.end());
  return join(names);
}

// A new key decides the result of a run unless it says otherwise; whoever adds one decides so here as well.
TEST(Experiment, EveryKeySaysWhatItsChangeMeansForARun) {
  struct Roles {
    std::string decides, continues, rounding, nothing;
  };
  const std::map<std::string, Roles> expected = {
      {"run", {"precision, seed", "", "backend, layout, threads, winograd", "dir"}},
      {"train",
       {"init, init_partial", "accumulate, batch, epochs, evaluate_every, evaluate_every_steps", "", "max_time"}},
      {"eval", {"", "", "batch", "top_k"}},
      {"checkpoint", {"", "", "", "every_epochs, interval, keep"}},
      {"data",
       {"augment, balance, channels, cifar100_labels, class_names, classes, crop_padding, cutmix, decode, "
        "eval_transforms, flip, "
        "hdf5_memory_mib, kind, mean, mixup, pad_to, std, synthetic_image, synthetic_seed, synthetic_size, "
        "synthetic_test_size, transforms, validation, "
        "validation_from, validation_seed",
        "", "",
        "dir, folder_test, folder_test_share, folder_train, hdf5_external, hdf5_images, hdf5_labels, hdf5_test, "
        "hdf5_test_group, hdf5_timeout, hdf5_train, "
        "hdf5_train_group, idx_test_images, "
        "idx_test_labels, idx_train_images, idx_train_labels, max_pixels, on_bad_image, prefetch, workers"}},
      {"optimizer", {"clip_norm, clip_value, lr, momentum, nesterov, no_decay, type, weight_decay", "", "", ""}},
      {"schedule", {"type, warmup_epochs", "", "", ""}},
      {"ema", {"", "decay, statistics_batches, warmup", "", ""}},
      {"distillation", {"temperature, weight", "", "", "teacher"}},
      {"distributed", {"", "batch, gradients, sync_batchnorm", "", "engine, progress"}},
      {"early_stopping", {"", "goal, metric, min_delta, patience", "", ""}},
      {"log", {"", "", "", "interval, tensorboard"}},
      {"network", {"input", "", "", ""}}};
  const Registry types = registry();
  const Experiment experiment(Config::parse(kNetwork, "net.ini"), types);
  std::size_t fixed = 0;
  for (const Section& section : experiment.config.sections()) {
    SCOPED_TRACE(section.name());
    if (section.name().rfind("layer.", 0) == 0) {
      EXPECT_EQ(keys_with(section, KeyRole::kDecides).size(), join(section.known_keys()).size());
      continue;
    }
    const Roles& roles = expected.at(section.name());
    EXPECT_EQ(keys_with(section, KeyRole::kDecides), roles.decides);
    EXPECT_EQ(keys_with(section, KeyRole::kContinues), roles.continues);
    EXPECT_EQ(keys_with(section, KeyRole::kRounding), roles.rounding);
    EXPECT_EQ(keys_with(section, KeyRole::kNothing), roles.nothing);
    ++fixed;
  }
  EXPECT_EQ(fixed, expected.size());
}

TEST(Experiment, TheNetworkInTheGuideIsOne) {
  std::ifstream guide(SLUICE_SOURCE_DIR "/docs/configuration.md");
  std::string text;
  for (std::string line; std::getline(guide, line);) {
    if (line.rfind("    [network]", 0) == 0 || !text.empty()) text += line + "\n";
    if (line.rfind("    bias = no", 0) == 0) break;
  }
  const Registry types = registry();
  const Experiment experiment(Config::parse(text, "guide", {"--data.kind=synthetic"}), types);
  EXPECT_EQ(experiment.network().nodes().back().name, "loss");
}

}  // namespace
}  // namespace sluice
