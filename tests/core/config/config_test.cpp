// Loading, overriding, reading and checking configurations: what is accepted, and the exact text of every message.
#include "core/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "tests/core/config/files.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;

struct Train {
  std::int64_t epochs = 1;
  std::int64_t batch = 128;
  double lr = 0.1;
  bool nesterov = false;
  std::vector<std::int64_t> milestones;
  std::string note = "none";
  std::int64_t kind = 0;

  void describe(Keys& keys) {
    keys.optional("epochs", epochs, at_least(1), "passes over the training set");
    keys.optional("batch", batch, between(1, 4096), "images in one step");
    keys.optional("lr", lr, above_zero(), "learning rate");
    keys.optional("nesterov", nesterov, "Nesterov momentum");
    keys.optional("milestones", milestones, at_least(1), "epochs at which the rate drops");
    keys.optional("note", note, "free text");
    keys.choice<std::int64_t>("schedule", kind, {{"constant", 0}, {"cosine", 1}, {"step", 2}},
                              "learning rate schedule");
  }
};

struct Data {
  std::string dir;
  std::int64_t classes = 0;
  double mean = 0;

  void describe(Keys& keys) {
    keys.required("dir", dir, "folder of the data set");
    keys.required("classes", classes, between(2, 1000), "number of classes");
    keys.required("mean", mean, any_number(), "mean pixel");
  }
};

/// The lines of the error that loading, reading [train] and checking ends with; "" when all is well.
std::string errors_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    Config config = Config::parse(text, "a.ini", overrides);
    config.read<Train>("train");
    config.check();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Config, ReadsEveryKindOfValue) {
  Config config = Config::parse(
      "\xEF\xBB\xBF# a comment\r\n"
      "\r\n"
      "  [ train ]   ; another\r\n"
      "\tepochs = 3\r\n"
      "batch=64 # trailing\r\n"
      "lr = 2.5e-3\r\n"
      "nesterov = on\r\n"
      "milestones = 10, 20 ,30\r\n"
      "note = a#b;c  ; comment\r\n"
      "schedule = step",
      "a.ini");
  const Train train = config.read<Train>("train");
  config.check();
  EXPECT_EQ(train.epochs, 3);
  EXPECT_EQ(train.batch, 64);
  EXPECT_EQ(train.lr, 2.5e-3);
  EXPECT_TRUE(train.nesterov);
  EXPECT_THAT(train.milestones, ElementsAre(10, 20, 30));
  EXPECT_EQ(train.note, "a#b;c");
  EXPECT_EQ(train.kind, 2);
}

TEST(ConfigErrors, AreReportedAllAtOnceInTheOrderOfLinesAndTheCommandLineLast) {
  EXPECT_EQ(errors_of("[train]\nepochs = 0\nbacth = 3\nfoo\n[trian]\nlr = 2\nlr = 1\n", {"--train.lr=nan"}),
            "a.ini:2: [train] epochs: expected an integer of at least 1, got '0'\n"
            "a.ini:3: [train] bacth: unknown key; did you mean 'batch'?\n"
            "a.ini:4: [train]: expected 'key = value' or '[section]', got 'foo'\n"
            "a.ini:5: [trian]: unknown section; did you mean 'train'?\n"
            "a.ini:7: [trian] lr: the key stands already in line 6\n"
            "command line: [train] lr: expected a number above 0, got 'nan'");
}

TEST(Config, KeysOfAnotherChoiceAreWarningsAndNotUnknown) {
  Config config = Config::parse("[a]\nmomentum = 0.5\n", "a.ini");
  Keys keys(config.section("a"), config.diagnostics());
  keys.idle({"betas", "momentum"}, "type = adamw");
  EXPECT_NO_THROW(config.check());
  EXPECT_EQ(config.diagnostics().warnings(),
            std::vector<std::string>{"a.ini:2: [a] momentum: has no effect with type = adamw"});
}

TEST(Config, KeepsDefaultsWhereNothingIsWritten) {
  Config config = Config::parse("", "a.ini");
  const Train train = config.read<Train>("train");
  config.check();
  EXPECT_EQ(train.epochs, 1);
  EXPECT_EQ(train.batch, 128);
  EXPECT_EQ(train.note, "none");
  EXPECT_THAT(train.milestones, ElementsAre());
}

std::string load_errors(const std::vector<std::string>& files, const std::vector<std::string>& overrides = {}) {
  try {
    Config config = Config::load(files, overrides);
    config.section("a");
    for (const std::string& error : config.diagnostics().errors()) ADD_FAILURE() << error;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

/// "key=value@file:line" of a section.
std::vector<std::string> listing(const Config& config, const std::string& section) {
  std::vector<std::string> lines;
  const Section* found = config.find(section);
  if (found == nullptr) return {"(absent)"};
  for (const Entry& entry : found->entries()) {
    lines.push_back(entry.key + "=" + entry.value + "@" + std::filesystem::path(entry.source.file).filename().string() +
                    ":" + std::to_string(entry.source.line));
  }
  return lines;
}

TEST(ConfigFiles, IncludesStandBelowTheFileThatNamesThemAndAreRelativeToIt) {
  const Files files;
  files.write("networks/base.ini", "[a]\nx = 1\ny = 1\n[b]\n");
  files.write("networks/net.ini", "include = base.ini\n[a]\ny = 2\nz = 2\n[c]\n");
  const std::string exp =
      files.write("experiments/exp.ini", "# recipe\ninclude = ../networks/net.ini  # the network\n[c]\n[a]\nz = 3\n");
  const Config config = Config::load({exp}, {});
  EXPECT_THAT(listing(config, "a"), ElementsAre("x=1@base.ini:2", "y=2@net.ini:3", "z=3@exp.ini:5"));
  EXPECT_EQ(config.find("a")->find("y")->source.file, files.path("networks/net.ini"));
  std::vector<std::string> order;
  for (const Section& section : config.sections()) order.push_back(section.name());
  EXPECT_THAT(order, ElementsAre("a", "b", "c"));
}

TEST(ConfigFiles, LaterFilesWinAndSharedIncludesAreReadOnce) {
  const Files files;
  files.write("base.ini", "[a]\nx = base\ny = base\n");
  const std::string one = files.write("one.ini", "include = base.ini\n[a]\nx = one\n");
  const std::string two = files.write("two.ini", "include = ./base.ini\n[a]\ny = two\n");
  EXPECT_THAT(listing(Config::load({one, two}, {}), "a"), ElementsAre("x=one@one.ini:3", "y=two@two.ini:3"));
  EXPECT_THAT(listing(Config::load({one, files.path("base.ini")}, {}), "a"),
              ElementsAre("x=base@base.ini:2", "y=base@base.ini:3"))
      << "a file that the user names is always read";
}

TEST(ConfigFiles, IncludesMayUseTheEnvironment) {
  const Files files;
  files.write("sub/base.ini", "[a]\nx = 1\n");
  ASSERT_EQ(::setenv("SLUICE_TEST_SUB", "sub", 1), 0);
  const std::string main = files.write("main.ini", "include = ${env:SLUICE_TEST_SUB}/${env:SLUICE_NONE:-base}.ini\n");
  EXPECT_THAT(listing(Config::load({main}, {}), "a"), ElementsAre("x=1@base.ini:2"));
  const std::string bad = files.write("bad.ini", "include = ${where}/base.ini\n");
  EXPECT_EQ(load_errors({bad}), bad + ":1: include: unknown name ${where}; an include can use ${env:NAME} only");
}

TEST(ConfigFiles, CyclesAreNamedWithTheirChain) {
  const Files files;
  const std::string a = files.write("a.ini", "include = b.ini\n");
  const std::string b = files.write("b.ini", "\ninclude = sub/../c.ini\n");
  const std::string c = files.write("c.ini", "include = b.ini\n");
  EXPECT_EQ(load_errors({a}), c + ":1: include: the file includes itself: " + b + " -> " + c + " -> " + b);
  const std::string self = files.write("self.ini", "include = self.ini\n");
  EXPECT_EQ(load_errors({self}), self + ":1: include: the file includes itself: " + self + " -> " + self);
}

TEST(ConfigFiles, UnreadableFilesAreAllNamedAtOnce) {
  const Files files;
  const std::string none = files.path("none.ini");
  const std::string main = files.write("main.ini", "include = gone.ini\ninclude = dir\n[a]\nx = 1\nx = 2\n");
  std::filesystem::create_directories(files.path("dir"));
  EXPECT_EQ(load_errors({none, main}),
            none + ": cannot be read: No such file or directory\n" + main + ":1: include: " + files.path("gone.ini") +
                " cannot be read: No such file or directory\n" + main + ":2: include: " + files.path("dir") +
                " is a directory; a configuration file was expected\n" + main +
                ":5: [a] x: the key stands already in line 4");
}

TEST(ConfigFiles, OtherKindsOfFilesAreRecognised) {
  const Files files;
  const std::string hdf5 = files.write("net.h5", std::string("\x89HDF\r\n\x1a\n\0\0\0", 11));
  EXPECT_EQ(load_errors({hdf5}), hdf5 + ": is an HDF5 file; a configuration file was expected");
  const std::string utf16 = files.write("utf16.ini", std::string("\xFF\xFE[\0a\0]\0", 8));
  EXPECT_EQ(load_errors({utf16}), utf16 + ": is UTF-16 text; save it as UTF-8");
  const std::string zero = files.write("zero.ini", std::string("[a]\nx = \0", 9));
  EXPECT_EQ(load_errors({zero}), zero + ": is not text (it holds a zero byte)");
  const std::string large = files.write("large.ini", std::string((16 << 20) + 1, '\n'));
  EXPECT_EQ(load_errors({large}), large + ": is larger than 16 MiB; a configuration file was expected");
  const std::string empty = files.write("empty.ini", "");
  EXPECT_EQ(load_errors({empty}), "");
}

TEST(ConfigFiles, ErrorsComeInTheOrderInWhichFilesWereOpened) {
  const Files files;
  const std::string base = files.write("base.ini", "[a]\nx = 1\nnonsense\n");
  const std::string main = files.write("main.ini", "include = base.ini\n[a]\nrubbish\ny = ${gone}\n");
  Config config = Config::load({main}, {"--b.x=1"});
  Keys(config.section("a"), config.diagnostics());
  try {
    config.check();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), main + ":3: [a]: expected 'key = value' or '[section]', got 'rubbish'\n" +  //
                                main + ":4: [a] y: unknown name ${gone}\n" +                            //
                                main + ":4: [a] y: unknown key\n" +                                     //
                                base + ":2: [a] x: unknown key\n" +                                     //
                                base + ":3: [a]: expected 'key = value' or '[section]', got 'nonsense'\n" +
                                "command line: [b] x: unknown section; known sections: a");
  }
}

TEST(Definitions, AreResolvedAfterEverythingIsMerged) {
  const Files files;
  const std::string net =
      files.write("net.ini", "[define]\nconv = conv\nboth = ${conv}+${act}\nact = relu\n[a]\nx = ${both}\n");
  const std::string exp = files.write("exp.ini", "[define]\nconv = cg_conv\n");
  EXPECT_EQ(Config::load({net}, {}).find("a")->find("x")->value, "conv+relu");
  EXPECT_EQ(Config::load({net, exp}, {}).find("a")->find("x")->value, "cg_conv+relu");
  const Config config = Config::load({net, exp}, {"--define.act=${conv}!"});
  EXPECT_EQ(config.find("a")->find("x")->value, "cg_conv+cg_conv!");
  EXPECT_EQ(config.find("a")->find("x")->origin, Entry::Origin::kCommandLine);
  EXPECT_EQ(config.find("define"), nullptr);
}

TEST(Definitions, ReadTheEnvironmentAndEscapes) {
  ASSERT_EQ(::setenv("SLUICE_TEST_SET", "a${x}b", 1), 0);
  ASSERT_EQ(::setenv("SLUICE_TEST_EMPTY", "", 1), 0);
  ASSERT_EQ(::unsetenv("SLUICE_TEST_UNSET"), 0);
  const auto value = [](const std::string& text) {
    const Config config = Config::parse("[define]\nd = deep\ne = ${d}\n[a]\nx = " + text + "\ny = ${e}\n", "a.ini");
    EXPECT_THAT(config.find("a")->find("x")->broken, false);
    return config.find("a")->find("x")->value;
  };
  EXPECT_EQ(value("${env:SLUICE_TEST_SET}"), "a${x}b") << "what comes from the environment is not read again";
  EXPECT_EQ(value("${env:SLUICE_TEST_EMPTY}"), "");
  EXPECT_EQ(value("${env:SLUICE_TEST_EMPTY:-other}"), "other");
  EXPECT_EQ(value("${env:SLUICE_TEST_UNSET:-}"), "");
  EXPECT_EQ(value("${env:SLUICE_TEST_UNSET:-/scratch/${d}/${env:SLUICE_TEST_UNSET:-x}}/y"), "/scratch/deep/x/y");
  EXPECT_EQ(value("$${d}"), "${d}");
  EXPECT_EQ(value("$$${d}"), "$${d}");
  EXPECT_EQ(value("$d $ {d} } 5$"), "$d $ {d} } 5$");
  EXPECT_EQ(value("\" ${d} \""), " deep ");
}

TEST(Definitions, AreRefusedWithTheseWords) {
  ASSERT_EQ(::unsetenv("SLUICE_TEST_UNSET"), 0);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[define]\nconv = 1\n[train]\nnote = ${cnov} ${conv}\n",
       "a.ini:4: [train] note: unknown name ${cnov}; did you mean 'conv'?"},
      {"[train]\nbatch = ${b}\n", "a.ini:2: [train] batch: unknown name ${b}"},
      {"[train]\nnote = ${env:SLUICE_TEST_UNSET}\n",
       "a.ini:2: [train] note: the environment variable 'SLUICE_TEST_UNSET' is not set; set it or write "
       "${env:SLUICE_TEST_UNSET:-DEFAULT}"},
      {"[train]\nnote = a ${b\n", "a.ini:2: [train] note: '${' without '}' in 'a ${b'; write '$${' for a literal '${'"},
      {"[define]\na = ${b}\nb = ${c}\nc = ${b}\n[train]\nnote = ${a}\nbatch = ${b}\n",
       "a.ini:3: [define] b: the definition uses itself: b -> c -> b"},
      {"[define]\ngatd_conv = 1\ngated_conv = 2\nzzz = 3\n[train]\nnote = ${gated_conv}\n",
       "a.ini:2: [define] gatd_conv: nothing uses ${gatd_conv}; did you mean 'gated_conv'?\n"
       "a.ini:4: [define] zzz: nothing uses ${zzz}; names in use: gated_conv"},
      {"[define]\nsize = none\n[train]\nbatch = ${size}\n",
       "a.ini:4: [train] batch: expected an integer from 1 to 4096, got 'none' (${size} is set at a.ini:2)"},
      {"[define]\nsize = ${other}\nother = none\n[train]\nbatch = ${size}\n",
       "a.ini:5: [train] batch: expected an integer from 1 to 4096, got 'none' (${size} is set at a.ini:2) (${other} "
       "is "
       "set at a.ini:3)"},
  };
  for (const auto& [text, errors] : cases) EXPECT_EQ(errors_of(text), errors);
  EXPECT_EQ(
      errors_of("[define]\nsize = 3\n[train]\nbatch = ${size}\n", {"--define.size=none", "--define.sise=1"}),
      "a.ini:4: [train] batch: expected an integer from 1 to 4096, got 'none' (${size} is set on the command line)\n"
      "command line: [define] sise: nothing uses ${sise}; did you mean 'size'?");
}

TEST(Definitions, OfAFileMayLoseTheirUse) {
  const std::string text = "[define]\nsize = 3\nhalf = 1\n[train]\nbatch = ${2*half + size}\n";
  EXPECT_EQ(errors_of(text, {"--train.batch=8"}), "");
  EXPECT_EQ(errors_of(text, {"--train.batch=8", "--define.size=4"}),
            "command line: [define] size: nothing uses ${size}");
}

TEST(Overrides, ReplaceValuesAndAddSectionsThatSomebodyReads) {
  Config config = Config::parse("[train]\nbatch = 3\n", "a.ini",
                                {"--train.batch=5", "--train.lr=0.5", "--train.note= a # b ", "--train.lr=0.25"});
  const Train train = config.read<Train>("train");
  config.check();
  EXPECT_EQ(train.batch, 5);
  EXPECT_EQ(train.lr, 0.25) << "the last one wins";
  EXPECT_EQ(train.note, " a # b ") << "the shell has done the quoting";
  EXPECT_EQ(config.find("train")->find("batch")->origin, Entry::Origin::kCommandLine);
  EXPECT_EQ(to_string(config.find("train")->find("batch")->source), "command line");
  Config without = Config::parse("", "a.ini", {"train.batch=7"});
  EXPECT_EQ(without.read<Train>("train").batch, 7) << "the dashes may be gone already";
}

TEST(Overrides, AreCheckedAsStrictlyAsTheFile) {
  EXPECT_EQ(errors_of("", {"--train.batch=0", "--train.bacth=1", "--trian.batch=3", "--layers.conv1.kernel=3",
                           "--batch=3", "--train.batch", "--.x=1", "--train..x=1", "--train.a b=1"}),
            "command line: expected --section.key=value, got '--batch=3'\n"
            "command line: expected --section.key=value, got '--train.batch'\n"
            "command line: expected --section.key=value, got '--.x=1'\n"
            "command line: expected --section.key=value, got '--train..x=1'\n"
            "command line: expected --section.key=value, got '--train.a b=1'\n"
            "command line: [train] batch: expected an integer from 1 to 4096, got '0'\n"
            "command line: [train] bacth: unknown key; did you mean 'batch'?\n"
            "command line: [trian] batch: unknown section; did you mean 'train'?\n"
            "command line: [layers.conv1] kernel: unknown section; did you mean 'layer.conv1'?");
}

TEST(ConfigErrors, UnknownSectionsAndKeysListWhatIsKnownWhereNothingIsClose) {
  EXPECT_EQ(errors_of("[train]\nzebra = 1\n[zoo]\n[types.conv]\n[layer]\n"),
            "a.ini:2: [train] zebra: unknown key; known keys: epochs, batch, lr, nesterov, milestones, note, schedule\n"
            "a.ini:3: [zoo]: unknown section; known sections: train\n"
            "a.ini:4: [types.conv]: unknown section; did you mean 'type.conv'?\n"
            "a.ini:5: [layer]: unknown section; known sections: train");
}

TEST(ConfigErrors, ABrokenValueIsNotReportedTwice) {
  Config config = Config::parse("[data]\ndir = ${nowhere}\nclasses = ${none}\nmean = 0\n", "a.ini");
  config.read<Data>("data");
  EXPECT_THAT(config.diagnostics().errors(), ElementsAre("a.ini:2: [data] dir: unknown name ${nowhere}",
                                                         "a.ini:3: [data] classes: unknown name ${none}"));
}

TEST(Config, ReferencesToSectionsSurviveNewSections) {
  Config config = Config::parse("[a]\nx = 1\n", "a.ini");
  const Section& a = config.section("a");
  for (int i = 0; i < 100; ++i) config.section("s" + std::to_string(i));
  EXPECT_EQ(&a, config.find("a"));
}

std::string error_of_stored(const std::string& text) {
  try {
    Config::stored(text, "a.h5");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCheckpoint);
    return error.what();
  }
  return "";
}

TEST(StoredConfigurations, StandForThemselves) {
  const std::string why = "; Sluice did not write it like that";
  EXPECT_EQ(error_of_stored("[a]\nx = ${env:HOME}\n"),
            "a.h5: [a] x: the configuration in a checkpoint stands for itself and may not use '${env:HOME}'" + why);
  EXPECT_EQ(error_of_stored("[define]\nx = 1\n[a]\ny = ${x}\n"),
            "a.h5: [a] y: the configuration in a checkpoint stands for itself and may not use '${x}'" + why);
  EXPECT_EQ(error_of_stored("include = /etc/hostname\n"),
            "a.h5: include: the configuration in a checkpoint stands for itself and may not use other files" + why);
  EXPECT_EQ(error_of_stored(std::string("[a]\nx = \0\n", 10)),
            "a.h5: the configuration is not text (it holds a zero byte)");
}

TEST(StoredConfigurations, KeepEscapesAndTakeOverridesWithAllTheirPowers) {
  ASSERT_EQ(::setenv("SLUICE_TEST_SET", "here", 1), 0);
  Config config = Config::stored("[train]\nnote = $${env:HOME}\nepochs = 2\n", "a.h5",
                                 {"--define.n=7", "--train.epochs=${n}", "--data.dir=${env:SLUICE_TEST_SET}"});
  const Train train = config.read<Train>("train");
  EXPECT_EQ(train.note, "${env:HOME}");
  EXPECT_EQ(train.epochs, 7);
  EXPECT_EQ(config.find("data")->find("dir")->value, "here");
}

TEST(Limits, DefinitionsThatDoubleEndInALine) {
  std::string text = "[define]\na0 = xxxxxxxxxx\n";
  for (int i = 1; i < 60; ++i) {
    text += "a" + std::to_string(i) + " = ";
    for (int k = 0; k < 10; ++k) text += "${a" + std::to_string(i - 1) + "}";
    text += "\n";
  }
  EXPECT_EQ(errors_of(text + "[train]\nnote = ${a59}\n"), "a.ini:8: [define] a6: the value becomes longer than 1 MiB");
}

TEST(Limits, ValuesTogetherEndInALine) {
  std::string text = "[define]\na = " + std::string(900000, 'x') + "\n";
  for (int i = 0; i < 900; ++i) text += "b" + std::to_string(i) + " = ${a}\n";
  const std::string error = errors_of(text + "[train]\nnote = ${b1}\n");
  EXPECT_NE(error.find("a.ini:77: [define] b74: the values of the configuration become longer than 64 MiB\n"),
            std::string::npos)
      << error.substr(0, 1000);
}

TEST(Limits, DefinitionsAndDefaultsAreNotDeepWithoutEnd) {
  std::string text = "[define]\n";
  for (int i = 300; i > 0; --i) text += "a" + std::to_string(i) + " = ${a" + std::to_string(i - 1) + "}\n";
  EXPECT_EQ(errors_of(text + "a0 = x\n[train]\nnote = ${a300}\n"),
            "a.ini:102: [define] a200: definitions stand in definitions more than 100 deep");
  std::string deep = "x";
  for (int i = 0; i < 5000; ++i) deep = "${env:SLUICE_TEST_UNSET:-" + deep + "}";
  EXPECT_EQ(errors_of("[train]\nnote = " + deep + "\n"),
            "a.ini:2: [train] note: defaults stand in defaults more than 100 deep");
}

TEST(Limits, AHundredMistakesAreShownAndTheOthersCounted) {
  std::string text = "[train]\n";
  for (int i = 0; i < 900; ++i) text += "bad" + std::to_string(i) + " = 1\n";
  const std::string error = errors_of(text);
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 100);
  EXPECT_EQ(error.substr(error.rfind('\n')), "\nand 800 more mistakes");
}

TEST(Limits, IncludesAreNeitherDeepNorManyWithoutEnd) {
  const Files files;
  for (int i = 0; i < 40; ++i)
    files.write("d" + std::to_string(i) + ".ini", "include = d" + std::to_string(i + 1) + ".ini\n");
  files.write("d40.ini", "");
  EXPECT_EQ(load_errors({files.path("d0.ini")}),
            files.path("d31.ini") + ":1: include: " + files.path("d32.ini") + " is included more than 32 deep");
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "include = d40.ini\n";
  const std::string path = files.write("many.ini", many);
  EXPECT_EQ(load_errors({path}), path + ":1001: include: more than 1000 includes");
}

}  // namespace
}  // namespace sluice
