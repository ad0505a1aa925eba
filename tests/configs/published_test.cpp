// The README's table of the published scripts' options, and the recipes that repeat them: numbers from the papers'
// released code stand here once more, and the table says where each of them must be found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/plugin/load.hpp"
#include "core/train/experiment.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

const std::string kSource = SLUICE_SOURCE_DIR;

/// A place that the table names: `[section] key` or `[section] key = value`.
struct Place {
  std::string section, key, value;
};

/// Option of the published scripts, without dashes -> where the table says it is.
using Table = std::map<std::string, std::vector<Place>>;

/// Rows between the table's head and the next empty line; the first cell names options, the last one places.
Table read_table() {
  std::ifstream readme(kSource + "/README.md");
  std::string line;
  while (std::getline(readme, line) && line.rfind("| option of the published scripts |", 0) != 0) {
  }
  std::getline(readme, line);  // | --- |
  Table table;
  const std::regex code("`([^`]+)`"), place(R"(\[([\w.]+)\] (\w+)(?: = (.*))?)");
  while (std::getline(readme, line) && !line.empty()) {
    const std::size_t last = line.rfind('|', line.size() - 2), first = line.find('|', 1);
    const std::string options = line.substr(0, first), places = line.substr(last);
    std::vector<Place> found;
    for (std::sregex_iterator i(places.begin(), places.end(), code), end; i != end; ++i) {
      std::smatch parts;
      const std::string text = (*i)[1];
      if (std::regex_match(text, parts, place)) found.push_back({parts[1], parts[2], parts[3]});
    }
    for (std::sregex_iterator i(options.begin(), options.end(), code), end; i != end; ++i) table[(*i)[1]] = found;
  }
  return table;
}

using Options = std::map<std::string, std::string>;

/// "-lr 0.1, -a (cg) 2": each value behind its option.
Options options(const std::string& text) {
  Options values;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts >> std::ws, part, ',');)
    values[part.substr(0, part.rfind(' '))] = part.substr(part.rfind(' ') + 1);
  return values;
}

/// A published run, and the recipe that repeats it.
struct Published {
  std::string recipe;
  Options values;
  std::vector<std::string> switches = {};                            ///< options without a value, by the table's names
  std::string first = "conv", second = "conv", activation = "relu";  ///< types in each block
  bool postact = false;
  std::vector<std::int64_t> epochs = {};  ///< of the two drops, and of the run
  double lr = 0.1, weight_decay = 1e-4;
  bool decays_all = true;  ///< or neither thresholds nor one-dimensional parameters
  double gating_loss = 0;  ///< with the initial thresholds
};

void PrintTo(const Published& run, std::ostream* out) {
  *out << run.recipe;
}

// ResNet-20 has 3 blocks in each of the stages of 16, 32 and 64 channels.
const double kChannels = 3 * (16 + 32 + 64);
const double kNorms = 3 * (std::sqrt(16.0) + std::sqrt(32.0) + std::sqrt(64.0));

Published channel_gating() {
  Published run = {"cifar10_resnet20_cg",
                   options("-lr 0.1, -wd 1e-4, -pt 4, -gi 0, -a (cg) 2, -gtar 1.0, -sg 1e-4, -group yes, -spbp yes, "
                           "-shuffle no, num_epoch 250"),
                   {"-cg"}};
  run.first = "cg_conv";
  run.epochs = {150, 200, 250};
  run.decays_all = false;
  run.gating_loss = 1e-4 * kChannels;
  return run;
}

Published channel_gating_postact() {
  Published run = {"cifar10_resnet20_cg_postact",
                   options("-lr 0.08, -wd 3e-4, -pt 2, -gi 0, -a (cg) 2, -gtar 0.6, -sg 1e-4, -group yes, -spbp yes, "
                           "-shuffle no, num_epoch 250"),
                   {"-cg", "-postact"}};
  run.first = run.second = "cg_conv";
  run.postact = true;
  run.epochs = {150, 200, 250};
  run.lr = 0.08;
  run.weight_decay = 3e-4;
  run.decays_all = false;
  run.gating_loss = 1e-4 * 0.36 * 2 * kChannels;  // twice as many layers, target 0.6
  return run;
}

Published precision_gating() {
  Published run = {"cifar10_resnet20_pg",
                   options("-lr 0.1, -wd 1e-4, -w 8, -a (pg) 3, -pb 2, -gtar 1, -sg 0.001, -spbp yes, num_epoch 200"),
                   {"-pg", "-pact"}};
  run.first = "pg_conv";
  run.second = "quantized_conv";
  run.activation = "pact_relu";
  run.epochs = {100, 150, 200};
  run.gating_loss = 1e-3 * kNorms;
  return run;
}

Published quantised(const char* recipe, const char* bits, const char* activation) {
  Published run = {
      recipe, options(concat("-lr 0.1, -wd 1e-4, -w 8, -a (pg) ", bits, ", num_epoch 200")), {"without -pg"}};
  run.first = run.second = "quantized_conv";
  run.activation = activation;
  if (run.activation == "pact_relu") run.switches.push_back("-pact");
  run.epochs = {100, 150, 200};
  return run;
}

class PublishedTable : public testing::Test {
 protected:
  PublishedTable() {
    register_layers(registry_);
    register_plugin(gating_plugin(), registry_);
  }
  Registry registry_;
};

class PublishedRecipe : public PublishedTable, public testing::WithParamInterface<Published> {
 protected:
  Experiment load(const std::string& file, const std::vector<std::string>& overrides = {}) {
    return Experiment(Config::load({kSource + "/configs/" + file}, overrides), registry_);
  }
  Experiment recipe(const std::vector<std::string>& overrides = {}) {
    return load(concat("experiments/", GetParam().recipe, ".ini"), overrides);
  }
  static std::vector<std::string> types(const Experiment& experiment) {
    std::vector<std::string> types;
    for (const Node& node : experiment.network().nodes()) types.push_back(node.name + " " + node.type);
    return types;
  }
};

/// Sections that a place stands for in a resolved configuration: `type.X` is every layer of that type.
std::vector<const Section*> sections_of(const Config& resolved, const Place& place) {
  std::vector<const Section*> sections;
  const bool of_type = place.section.rfind("type.", 0) == 0;
  for (const Section& section : resolved.sections()) {
    const Entry* const type = section.find("type");
    if (of_type ? section.name().rfind("layer.", 0) == 0 && type != nullptr && "type." + type->value == place.section
                : section.name() == place.section)
      sections.push_back(&section);
  }
  return sections;
}

bool same(const std::string& a, const std::string& b) {
  char* end = nullptr;
  const double number = std::strtod(a.c_str(), &end);
  return end != a.c_str() && *end == '\0' ? number == std::strtod(b.c_str(), nullptr) : a == b;
}

TEST_P(PublishedRecipe, HasTheValuesWhereTheTableSays) {
  const Experiment experiment = recipe();
  const Config resolved = Config::parse(experiment.config.resolved(), GetParam().recipe);
  const Table table = read_table();
  Options values = GetParam().values;
  values.insert({{"batch_size", "128"}, {"momentum", "0.9"}});
  for (const auto& [option, value] : values) {
    SCOPED_TRACE(option);
    ASSERT_EQ(table.count(option), 1U) << "the table has no such option";
    int found = 0;
    for (const Place& place : table.at(option)) {
      for (const Section* section : sections_of(resolved, place)) {
        const Entry* const entry = section->find(place.key);
        ASSERT_NE(entry, nullptr) << "[" << section->name() << "] has no " << place.key;
        EXPECT_TRUE(same(entry->value, value))
            << "[" << section->name() << "] " << place.key << " = " << entry->value << ", published: " << value;
        ++found;
      }
    }
    EXPECT_GT(found, 0) << "no section of the recipe has it";
  }
}

TEST_P(PublishedRecipe, IsTheNetworkThatTheTablesDefinitionsMake) {
  const Table table = read_table();
  std::vector<std::string> defines;
  for (const std::string& option : GetParam().switches) {
    ASSERT_EQ(table.count(option), 1U) << option;
    for (const Place& place : table.at(option)) {
      ASSERT_EQ(place.section, "define") << option;
      defines.push_back(concat("--define.", place.key, "=", place.value));
    }
  }
  // Bits that only the recipe sets.
  for (const char* type : {"pg_conv", "quantized_conv"}) {
    if (GetParam().first != type && GetParam().second != type) continue;
    defines.insert(defines.end(),
                   {concat("--type.", type, ".weight_bits=8"), concat("--type.", type, ".activation_bits=3")});
    if (std::string(type) == "pg_conv") defines.push_back("--type.pg_conv.prediction_bits=2");
  }
  const std::vector<std::string> made = types(load("networks/resnet20.ini", defines));
  EXPECT_EQ(types(recipe()), made);
}

TEST_P(PublishedRecipe, GatesTheConvolutionsOfThePaper) {
  const Published& published = GetParam();
  const Experiment experiment = recipe();
  std::map<std::string, std::set<std::string>> types;  // by the layer's last name
  for (const Node& node : experiment.network().nodes())
    types[node.name.rfind("layer", 0) == 0 ? node.name.substr(9) : node.name].insert(node.type);
  EXPECT_THAT(types["conv1"], UnorderedElementsAre("conv", published.first)) << "the stem's is in floating point";
  EXPECT_THAT(types["conv2"], ElementsAre(published.second));
  EXPECT_THAT(types["linear"], ElementsAre("linear"));
  EXPECT_THAT(types["relu"], ElementsAre(published.activation));
}

TEST_P(PublishedRecipe, ActivatesBeforeOrAfterTheAddition) {
  const Experiment experiment = recipe();
  const Network& network = experiment.network();
  const int relu = network.find("layer1.0.relu2"), add = network.find("layer1.0.add");
  ASSERT_GE(relu, 0);
  ASSERT_GE(add, 0);
  EXPECT_EQ(relu < add, GetParam().postact);
  for (const Parameter& p : network.parameters()) {
    if (p.group != "bound" || p.layer == "relu") continue;
    EXPECT_EQ(p.users.size(), 2U) << p.path() << ": a block has one bound";
  }
}

TEST_P(PublishedRecipe, DecaysWhatThePublishedCodeDecays) {
  const Experiment experiment = recipe();
  std::set<std::string> groups;
  for (const Parameter& p : experiment.network().parameters()) {
    const bool plain = p.name == "threshold" || p.shape.rank() <= 1;
    const double expected = plain && !GetParam().decays_all ? 0.0 : GetParam().weight_decay;
    EXPECT_EQ(experiment.optimizer.group(p.group).weight_decay, expected) << p.path();
    EXPECT_EQ(experiment.optimizer.group(p.group).lr_scale, 1.0) << p.path();
    groups.insert(p.group);
  }
  EXPECT_THAT(groups, IsSupersetOf({"weights", "norm", "bias"}));
  EXPECT_EQ(groups.count("threshold"), GetParam().gating_loss > 0 ? 1U : 0U);
}

TEST_P(PublishedRecipe, DropsItsLearningRateTwice) {
  const Experiment experiment = recipe();
  const Published& published = GetParam();
  EXPECT_EQ(experiment.train.epochs, published.epochs[2]);
  EXPECT_EQ(experiment.optimizer.type, OptimizerOptions::Type::kSgd);
  EXPECT_FALSE(experiment.optimizer.nesterov);
  const std::int64_t steps = 10;
  const Schedule schedule(experiment.schedule, experiment.optimizer.lr, steps, experiment.train.epochs);
  const auto lr_at = [&](std::int64_t epoch, std::int64_t step) { return schedule.lr(epoch * steps + step); };
  const double lr = published.lr;
  EXPECT_DOUBLE_EQ(lr_at(0, 0), lr);
  EXPECT_DOUBLE_EQ(lr_at(published.epochs[0], -1), lr);
  EXPECT_DOUBLE_EQ(lr_at(published.epochs[0], 0), lr * 0.1);
  EXPECT_DOUBLE_EQ(lr_at(published.epochs[1], -1), lr * 0.1);
  EXPECT_DOUBLE_EQ(lr_at(published.epochs[1], 0), lr * 0.1 * 0.1);
  EXPECT_DOUBLE_EQ(lr_at(published.epochs[2], -1), lr * 0.1 * 0.1);
}

TEST_P(PublishedRecipe, PullsThresholdsAsPublished) {
  Experiment experiment = recipe();
  Network& network = experiment.network();
  network.initialise(1);
  double loss = 0;
  for (const auto& term : network.auxiliary_losses()) loss += term.second->forward(network, {});
  EXPECT_NEAR(loss, GetParam().gating_loss, 1e-12);
}

TEST_P(PublishedRecipe, SeesTheImagesAsPublished) {
  const DataOptions data = recipe().data;
  EXPECT_EQ(data.kind, DataKind::kCifar10);
  EXPECT_THAT(data.mean, ElementsAre("0.485", "0.456", "0.406"));
  EXPECT_THAT(data.std, ElementsAre("0.229", "0.224", "0.225"));
  EXPECT_TRUE(data.augment);
  EXPECT_EQ(data.crop_padding, 4);
  EXPECT_TRUE(data.flip);
}

INSTANTIATE_TEST_SUITE_P(Recipes, PublishedRecipe,
                         testing::Values(channel_gating(), channel_gating_postact(), precision_gating(),
                                         quantised("cifar10_resnet20_uniform", "8", "relu"),
                                         quantised("cifar10_resnet20_pact", "3", "pact_relu")),
                         [](const testing::TestParamInfo<Published>& run) { return run.param.recipe; });

TEST_F(PublishedTable, HasEveryOptionOfTheScripts) {
  std::vector<std::string> missing;
  const Table table = read_table();
  for (const char* option :
       {"-lr", "-wd",      "-s",       "-t",   "-p", "-pt",     "-gi",   "-a (cg)", "-group", "-gtar", "-spbp",
        "-cg", "-shuffle", "-postact", "-gpu", "-w", "-a (pg)", "-pact", "-pb",     "-pg",    "-sg"}) {
    if (table.count(option) == 0) missing.push_back(option);
  }
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(PublishedTable, EveryPlaceExists) {
  const Experiment experiment(Config::load({kSource + "/configs/experiments/cifar10_resnet20_cg.ini"}, {}), registry_);
  const Config resolved = Config::parse(experiment.config.resolved(), "resolved");
  for (const auto& [option, places] : read_table()) {
    for (const Place& place : places) {
      if (place.section == "define") continue;  // the recipes' networks are made of them
      bool found = false;
      if (place.section.rfind("type.", 0) == 0) {
        const std::string type = place.section.substr(5);
        const std::vector<KeyDoc> keys = registry_.is_layer(type) ? registry_.keys(type) : std::vector<KeyDoc>{};
        found = std::any_of(keys.begin(), keys.end(), [&](const KeyDoc& key) { return key.name == place.key; });
      } else if (const Section* section = resolved.find(place.section)) {
        found = section->find(place.key) != nullptr;
      }
      EXPECT_TRUE(found) << option << ": there is no [" << place.section << "] " << place.key;
    }
  }
}

/// The block whose gated convolutions bring both normalisations, as the paper draws it.
TEST_F(PublishedTable, GatedConvolutionsWithTwoNormsReplaceTheBlocksNorms) {
  const auto load = [&](const std::vector<std::string>& overrides) {
    std::vector<std::string> all = {"define.gated_conv=cg_conv", "define.second_conv=cg_conv"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    Config config = Config::load({kSource + "/configs/networks/resnet20.ini"}, all);
    auto network = std::make_unique<Network>(config, registry_);
    config.check();
    return network;
  };
  const auto one = load({}), two = load({"define.block=two_norms", "type.cg_conv.two_norms=yes"});
  const auto norms = [](const Network& network) {
    const std::vector<Node>& nodes = network.nodes();
    return std::count_if(nodes.begin(), nodes.end(), [](const Node& node) { return node.type == "batchnorm"; });
  };
  EXPECT_EQ(norms(*one), 19);
  EXPECT_EQ(norms(*two), 1);  // behind the first convolution
  EXPECT_EQ(two->macs(), one->macs());
  EXPECT_EQ(two->learned_count() - one->learned_count(), 2 * 2 * static_cast<std::int64_t>(kChannels));
}

}  // namespace
}  // namespace sluice
