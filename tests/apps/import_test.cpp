// sluice-import as a program: command line, exit codes, one line on stderr, and what the other programs make of its
// files.
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/checkpoint/hdf5.hpp"
#include "tests/apps/run_program.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kSource = SLUICE_SOURCE_DIR;
const std::string kWeights = kSource + "/tests/golden/networks.h5";
const std::string kConfig = kSource + "/configs/networks/resnet20.ini";

class ImportProgram : public InDirectory {
 protected:
  ProgramRun import(const std::string& more) {
    return run_program("sluice-import",
                       kWeights + " " + kConfig + " --group=/dense/after -o " + path("out.h5") + " " + more);
  }
  std::string error(const std::string& arguments, int code) {
    const ProgramRun run = run_program("sluice-import", arguments);
    EXPECT_EQ(run.code, code) << arguments << "\n" << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    const std::string begin = "sluice-import: ";
    EXPECT_THAT(run.err, StartsWith(begin));
    return run.err.substr(begin.size(), run.err.find('\n') - begin.size());
  }
};

TEST_F(ImportProgram, ImportsVerifiesAndExports) {
  const ProgramRun run = import("--define.blocks=1 --data.mean=0.5 --data.std=0.25");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith(kWeights + ", group /dense/after: 37 of 37 tensors of the network matched\n"));
  EXPECT_THAT(run.out, EndsWith("wrote " + path("out.h5") + "\n"));
  EXPECT_EQ(run_program("sluice-inspect", path("out.h5") + " --verify").code, 0);
  const Checkpoint checkpoint = load(path("out.h5"));
  EXPECT_EQ(checkpoint.kind, Checkpoint::Kind::kWeightsOnly);
  EXPECT_EQ(checkpoint.mean, std::vector<double>(3, 0.5));
  EXPECT_EQ(checkpoint.run.at("imported_from"), kWeights + ":/dense/after");
  EXPECT_THAT(checkpoint.config, HasSubstr("[layer.layer1.0.conv1]"));

  const ProgramRun exported = run_program("sluice-import", "--export " + path("out.h5") + " -o " + path("flat.h5"));
  EXPECT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(exported.out, "wrote " + path("flat.h5") + ": 37 tensors of " + path("out.h5") + "\n");
  const ProgramRun again = run_program("sluice-import", path("flat.h5") + " " + kConfig + " --define.blocks=1 --json " +
                                                            "--data.mean=0.5 --data.std=0.25 -o " + path("again.h5"));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(nlohmann::json::parse(again.out)["output"], path("again.h5"));
  EXPECT_EQ(content_digest(load(path("again.h5"))), content_digest(checkpoint));
}

/// A network of the published code, by its own names, in a group of the file.
TEST_F(ImportProgram, GatedNetworksKeepThePublishedNames) {
  const std::string file = kSource + "/tests/golden/networks.h5";
  const std::string recipe = kSource + "/configs/experiments/cifar10_resnet20_cg.ini --define.blocks=1 -o ";
  const ProgramRun run = run_program("sluice-import", file + ":/cg/after " + recipe + path("cg.h5"));
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith(file + ", group /cg/after: 46 of 46 tensors of the network matched\n"));
  EXPECT_THAT(run.out, HasSubstr("skipped 10 counters num_batches_tracked"));
  EXPECT_THAT(run.out, testing::Not(HasSubstr("in the file, but not in the network")));

  const Hdf5File golden_file = Hdf5File::open(file, ExitCode::kData);
  const Hdf5Group golden = golden_file.group("cg/after");
  const Checkpoint checkpoint = load(path("cg.h5"));
  EXPECT_EQ(checkpoint.run.at("imported_from"), file + ":/cg/after");
  const auto same = [&](const char* tensor, const char* name) {
    EXPECT_EQ(checkpoint.find(tensor)->values, golden.data_set(name).read<float>()) << tensor;
  };
  same("weights/layer1.0.conv1/threshold", "layer1.0.conv1.threshold");
  same("buffers/layer1.0.conv1/gate_running_mean", "layer1.0.conv1.bn.running_mean");
  same("buffers/layer3.0.conv1/gate_running_var", "layer3.0.conv1.bn.running_var");
  same("buffers/layer1.0.bn1/running_mean", "layer1.0.bn1.running_mean");

  const ProgramRun back = run_program("sluice-import", "--export " + path("cg.h5") + " -o " + path("flat.h5"));
  EXPECT_EQ(back.code, 0) << back.err;
  const Hdf5File flat = Hdf5File::open(path("flat.h5"), ExitCode::kData);
  std::vector<std::string> names;
  for (const std::string& name : golden.members()) {
    if (name.find("num_batches_tracked") == std::string::npos) names.push_back(name);
  }
  EXPECT_THAT(flat.members(), testing::UnorderedElementsAreArray(names));
  for (const std::string& name : names)
    EXPECT_EQ(flat.data_set(name).read<float>(), golden.data_set(name).read<float>()) << name;

  const ProgramRun again = run_program("sluice-import", path("flat.h5") + " " + recipe + path("again.h5"));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(content_digest(load(path("again.h5"))), content_digest(checkpoint));
}

TEST_F(ImportProgram, WhatDoesNotFitWritesNothing) {
  const ProgramRun run = import("");
  EXPECT_EQ(run.code, 5);
  EXPECT_EQ(run.err, "sluice-import: " + kWeights +
                         ": of the network's 97 tensors, 60 are missing (first: layer1.1.conv1.weight (16x16x3x3)); "
                         "nothing was written; map names with --rename, or take the rest with --partial\n");
  EXPECT_THAT(run.out, HasSubstr("\nmissing in the file:\n  layer1.1.conv1.weight (16x16x3x3)\n"));
  EXPECT_FALSE(std::filesystem::exists(path("out.h5")));
  const ProgramRun json = import("--json");
  EXPECT_EQ(json.code, 5);
  EXPECT_EQ(nlohmann::json::parse(json.out)["missing"].size(), 60U);
  const ProgramRun partial = import("--partial");
  EXPECT_EQ(partial.code, 0) << partial.err;
  EXPECT_THAT(partial.out, HasSubstr("missing in the file, left at their initial values:\n"));
  EXPECT_TRUE(std::filesystem::exists(path("out.h5")));
}

TEST_F(ImportProgram, CommandLine) {
  const std::string usual = kWeights + " " + kConfig;
  EXPECT_EQ(error("", 2), "command line: expected WEIGHTS.h5 and CONFIG.ini; see sluice-import --help");
  EXPECT_EQ(error(kWeights + " -o x.h5", 2),
            "command line: expected WEIGHTS.h5 and CONFIG.ini; see sluice-import --help");
  EXPECT_EQ(error(usual, 2), "command line: expected -o FILE, the file to write");
  EXPECT_EQ(
      error(usual + " -o " + kWeights, 2),
      kWeights +
          ": is there already, and sluice-import did not write it; name another file, or replace it with --force");
  EXPECT_EQ(error(usual + " -o x.h5 --rename=fc", 2),
            "command line: --rename: expected OLD=NEW, for example fc=linear, got 'fc'");
  EXPECT_EQ(error("--export a.h5 -o b.h5 --partial", 2), "command line: --partial does not go with --export");
  EXPECT_EQ(
      error("--export a.h5 -o b.h5 c.ini", 2),
      "command line: --export takes one checkpoint and nothing else; expected --export CHECKPOINT.h5 -o WEIGHTS.h5");
  EXPECT_EQ(error("--export a.h5", 2), "command line: expected -o FILE, the file to write");
  EXPECT_EQ(error(usual + " -o x.h5 --train.batches=2", 2),
            "command line: [train] batches: unknown key; did you mean 'batch'?");
  EXPECT_EQ(error(kWeights + ":/dense/after " + kConfig + " --group=/dense -o x.h5", 2),
            "command line: --group: " + kWeights + ":/dense/after names a group already; name it once");
  EXPECT_EQ(error(path("no.h5") + ":/dense " + kConfig + " -o x.h5", 5),
            path("no.h5: cannot open: No such file or directory"));
  const ProgramRun help = run_program("sluice-import", "--help");
  EXPECT_EQ(help.code, 0);
  for (const char* flag : {"--output", "--group", "--rename", "--partial", "--export", "--json"})
    EXPECT_THAT(help.out, HasSubstr(flag));
}

TEST_F(ImportProgram, TrainingStartsFromImportedWeights) {
  ASSERT_EQ(import("--define.blocks=1").code, 0);
  // A learning rate below the last bit of every weight.
  const std::string train =
      "--define.blocks=1 --data.kind=synthetic --data.synthetic_size=16 --train.batch=8 " +
      std::string("--data.synthetic_test_size=8 --optimizer.lr=1e-30 --run.threads=1 --run.dir=") + path("run") +
      " --train.init=" + path("out.h5");
  const ProgramRun run = run_program("sluice-train", kConfig + " " + train);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(bytes_in(path("run/log.txt")), HasSubstr("starts from the weights of " + path("out.h5")));
  const Checkpoint imported = load(path("out.h5")), trained = load(path("run/checkpoints/best.h5"));
  for (const char* name : {"weights/conv1/weight", "weights/layer3.0.bn2/bias", "weights/linear/weight"})
    EXPECT_EQ(trained.find(name)->values, imported.find(name)->values) << name;

  const std::string other = path("run/checkpoints/best.h5");
  const ProgramRun refused = run_program(
      "sluice-train", kConfig + " " + train + " --run.dir=" + path("new") + " --define.blocks=2 --train.init=" + other);
  EXPECT_EQ(refused.code, 5);
  EXPECT_THAT(refused.err,
              HasSubstr("lacks 30 of the network's tensors and has 0 others, weights/layer1.1.conv1/weight for one; "
                        "train.init_partial = yes takes what both have"));
}

TEST_F(ImportProgram, FilesThatCannotBeReadOrWritten) {
  const std::string more = " " + kConfig + " --define.blocks=1 --group=dense/after -o ";
  EXPECT_EQ(error(path("no.h5") + more + path("x.h5"), 5), path("no.h5: cannot open: No such file or directory"));
  EXPECT_THAT(error(kWeights + more + path("no/x.h5"), 6), HasSubstr(path("no")));
  EXPECT_EQ(error("--export " + kWeights + " -o " + path("x.h5"), 5).substr(0, kWeights.size() + 2), kWeights + ": ");
}

}  // namespace
}  // namespace sluice
