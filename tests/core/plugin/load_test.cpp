// Plug-ins: what loading one brings, and the exact line for each way in which it can fail.
#include "core/plugin/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "core/base/error.hpp"
#include "core/graph/network.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

std::string fixture(const std::string& name) {
  return concat(FIXTURES, "/plugin_", name, ".so");
}

/// The text of the Error(kUsage) that `action` throws.
std::string usage_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

std::string load_error(const std::string& path) {
  Registry registry;
  register_layers(registry);
  const std::vector<std::string> before = registry.types();
  const std::string text = usage_error([&] { load_plugin(path, registry); });
  EXPECT_EQ(registry.types(), before) << "a failed plug-in must leave nothing behind";
  return text;
}

std::string plugin_error(const std::string& name, const std::string& why) {
  return concat("plug-in '", fixture(name), "': ", why);
}

/// A folder for the files of one test.
class PluginFiles : public testing::Test {
 protected:
  PluginFiles() : directory_(fs::temp_directory_path() / concat("sluice_plugin_test_", getpid())) {
    fs::create_directories(directory_);
  }
  ~PluginFiles() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return (directory_ / name).string();
  }

  fs::path directory_;
};

TEST(Plugin, ALoadedTypeIsALayerLikeAnyOther) {
  Registry registry;
  register_layers(registry);
  const PluginInfo info = load_plugin(fixture("good"), registry);
  EXPECT_EQ(info.name, "fixture");
  EXPECT_EQ(info.doc, "a test");
  EXPECT_EQ(info.path, fixture("good"));
  EXPECT_THAT(info.types, ElementsAre("fixture"));
  Config config = Config::parse("[network]\ninput = 3x5x7\n[layer.a]\ntype = fixture\n", "net.ini");
  const Network network(config, registry);
  EXPECT_EQ(network.nodes().at(0).declared.dst, (Shape{1, 3, 5, 7}));
}

TEST(Plugin, ALibraryServesSeveralRegistries) {
  Registry first, second;
  load_plugin(fixture("good"), first);
  load_plugin(fixture("good"), second);
  EXPECT_THAT(first.types(), ElementsAre("fixture"));
  EXPECT_THAT(second.types(), ElementsAre("fixture"));
}

TEST(Plugin, RelativePathsStartAtTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(FIXTURES);
  Registry registry;
  const PluginInfo info = load_plugin("plugin_other_type.so", registry);
  fs::current_path(before);
  EXPECT_EQ(info.path, fixture("other_type"));
  EXPECT_THAT(info.types, ElementsAre("other"));
}

void register_linked(Registry& registry) {
  registry.add_layer("linked", "not made here", [](Keys&) { return std::unique_ptr<Layer>(); });
}

TEST(Plugin, OneThatIsLinkedIntoTheProgramRegistersThroughTheSameDescription) {
  static constexpr Plugin kLinked = describe_plugin("linked", "part of the program", register_linked);
  Registry registry;
  const PluginInfo info = register_plugin(kLinked, registry);
  EXPECT_EQ(info.name, "linked");
  EXPECT_EQ(info.path, "");
  EXPECT_THAT(info.types, ElementsAre("linked"));
  EXPECT_EQ(usage_error([&] { register_plugin(kLinked, registry); }),
            "plug-in 'linked': layer type 'linked' is registered twice; two plug-ins may use the same name");
}

void register_with_a_wrong_twin(Registry& registry) {
  register_linked(registry);
  registry.add_dense_type("linked", "cnov");
}

TEST(Plugin, ADenseTypeIsALayerType) {
  static constexpr Plugin kLinked = describe_plugin("linked", "part of the program", register_with_a_wrong_twin);
  Registry registry;
  EXPECT_EQ(usage_error([&] { register_plugin(kLinked, registry); }),
            "plug-in 'linked': add_dense_type(\"linked\", \"cnov\"): there is no layer type 'cnov'; name one that "
            "computes all of what 'linked' computes, such as conv");
  EXPECT_FALSE(registry.is_layer("linked"));
}

TEST(Plugin, ThatIsNamedTwiceIsOneMistake) {
  const std::string good = fixture("good");
  Config config = Config::parse("[plugins]\nload = " + good + ", " + good + "\n", "net.ini");
  Registry registry;
  EXPECT_EQ(usage_error([&] { load_plugins(config, registry); }),
            "net.ini:2: [plugins] load: " + plugin_error("good", "is named twice; name it once"));
}

TEST(Plugin, WhatWasBuiltForAnotherSluiceIsRefused) {
  EXPECT_EQ(load_error(fixture("interface")),
            plugin_error("interface",
                         "has version 2 of the plug-in interface, this program has version 1; build it "
                         "against Sluice " SLUICE_VERSION));
  EXPECT_EQ(load_error(fixture("abi")),
            plugin_error("abi", "was built with gcc 5, libstdc++ before C++11, oneDNN 1, this program with " SLUICE_ABI
                                "; build both with the same compiler, standard library and oneDNN"));
  EXPECT_EQ(load_error(fixture("build")),
            plugin_error("build", "was built for Sluice 0.0.1 (interface 0123456789ab), this is " SLUICE_BUILD
                                  "; build it again with the headers of this Sluice"));
}

TEST(Plugin, WhatIsNoPluginIsRefused) {
  const std::string no_plugin = "is a shared library, but no plug-in: it does not define sluice_plugin()";
  EXPECT_EQ(load_error(fixture("no_entry")), plugin_error("no_entry", no_plugin));
  EXPECT_EQ(load_error(fixture("only_needs_one")), plugin_error("only_needs_one", no_plugin));
  EXPECT_EQ(load_error(fixture("null")), plugin_error("null", "sluice_plugin() returned nothing"));
  EXPECT_EQ(load_error(fixture("nameless")),
            plugin_error("nameless",
                         "its description lacks the name, the documentation or the function that registers types"));
}

TEST(Plugin, AFailingRegistrationNamesThePlugin) {
  EXPECT_EQ(load_error(fixture("throws")), plugin_error("throws", "this processor is too old"));
  EXPECT_EQ(load_error(fixture("throws_number")),
            plugin_error("throws_number", "registering 'fixture' threw what is not a std::exception"));
  EXPECT_EQ(load_error(fixture("duplicate")),
            plugin_error("duplicate", "layer type 'relu' is registered twice; two plug-ins may use the same name"));
}

TEST(Plugin, MissingSymbolsAreNamed) {
  EXPECT_EQ(load_error(fixture("undefined")),
            plugin_error("undefined", "cannot be loaded: undefined symbol: _Z19from_a_newer_sluicev"));
}

TEST_F(PluginFiles, FilesThatAreNoLibraries) {
  const std::string missing = (directory_ / "missing.so").string(), folder = directory_.string();
  const std::string text = write("text.so", "int main() {}"), empty = write("empty.so", "");
  const std::string cut = write("cut.so", std::string("\x7f"
                                                      "ELF\x02\x01\x01",
                                                      7));
  EXPECT_EQ(load_error(missing), concat("plug-in '", missing, "': there is no such file"));
  EXPECT_EQ(load_error(folder), concat("plug-in '", folder, "': is a directory; a shared library was expected"));
  EXPECT_EQ(load_error(text), concat("plug-in '", text, "': is not a shared library"));
  EXPECT_EQ(load_error(empty), concat("plug-in '", empty, "': is not a shared library"));
  EXPECT_EQ(load_error(cut), concat("plug-in '", cut, "': cannot be loaded: file too short"));
}

TEST(PluginSection, LoadsWhatTheUserNames) {
  Registry registry;
  Config config =
      Config::parse(concat("[plugins]\nload = ", fixture("good"), ", ", fixture("other_type"), "\n"), "a.ini");
  const std::vector<PluginInfo> loaded = load_plugins(config, registry);
  ASSERT_EQ(loaded.size(), 2U);
  EXPECT_THAT(registry.types(), ElementsAre("fixture", "other"));
  config.check();
}

TEST(PluginSection, AbsentLoadsNothing) {
  Registry registry;
  Config config = Config::parse("", "a.ini");
  EXPECT_THAT(load_plugins(config, registry), IsEmpty());
  config.check();
}

TEST(PluginSection, AllMistakesAreReportedWithTheirPlaces) {
  Registry registry;
  Config config =
      Config::parse(concat("[plugins]\nlaod = x\nload = gone.so, ", fixture("null"), "\nbroken\n"), "a.ini");
  const std::string text = usage_error([&] { load_plugins(config, registry); });
  EXPECT_THAT(text, HasSubstr("a.ini:4: "));
  EXPECT_THAT(text, HasSubstr("a.ini:3: [plugins] load: plug-in 'gone.so': there is no such file\n"));
  EXPECT_THAT(text, HasSubstr(concat("a.ini:3: [plugins] load: ", plugin_error("null", "sluice_plugin() returned"))));
}

TEST(PluginsOfACheckpoint, AreNeverLoadedOnItsOwnWord) {
  Registry registry;
  const std::string asks = concat("[plugins]\nload = ", fixture("good"), "\n");
  Config config = Config::parse(asks, "run/last.h5");
  EXPECT_EQ(
      usage_error([&] { load_plugins_for_checkpoint(config, "run/last.h5", registry); }),
      concat("run/last.h5: its configuration asks for the plug-in '", fixture("good"),
             "', and a checkpoint may not load code; if you trust that file, add --plugins.load=", fixture("good")));
  EXPECT_THAT(registry.types(), IsEmpty());
}

TEST(PluginsOfACheckpoint, ADefinitionOnTheCommandLineDoesNotMakeThemTheUsersOwn) {
  Registry registry;
  const std::string asks = concat("[define]\nname = x\n[plugins]\nload = ", FIXTURES, "/plugin_${name}.so\n");
  Config config = Config::parse(asks, "run/last.h5", {"--define.name=good"});
  EXPECT_THAT(usage_error([&] { load_plugins_for_checkpoint(config, "run/last.h5", registry); }),
              HasSubstr("a checkpoint may not load code"));
  EXPECT_THAT(registry.types(), IsEmpty());
}

TEST(PluginsOfACheckpoint, AreLoadedWhenTheUserNamesThem) {
  const std::string asks = "[plugins]\nload = /tmp/elsewhere.so\n";
  Registry registry;
  Config config = Config::parse(asks, "run/last.h5", {concat("--plugins.load=", fixture("good"))});
  EXPECT_EQ(load_plugins_for_checkpoint(config, "run/last.h5", registry).size(), 1U);
  EXPECT_THAT(registry.types(), ElementsAre("fixture"));
  Config none = Config::parse(asks, "run/last.h5", {"--plugins.load="});
  EXPECT_THAT(load_plugins_for_checkpoint(none, "run/last.h5", registry), IsEmpty());
  Config plain = Config::parse("", "run/last.h5");
  EXPECT_THAT(load_plugins_for_checkpoint(plain, "run/last.h5", registry), IsEmpty());
}

}  // namespace
}  // namespace sluice
