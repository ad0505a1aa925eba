// sluice-inspect as a program: command line, exit codes, one line on stderr.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/apps/run_program.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class InspectProgram : public InDirectory {
 protected:
  void SetUp() override {
    InDirectory::SetUp();
    save(sample_checkpoint(), path("a.h5"));
  }
  ProgramRun run(const std::string& arguments) {
    return run_program("sluice-inspect", "'" + path("a.h5") + "' " + arguments);
  }
};

TEST_F(InspectProgram, HelpAndVersion) {
  const ProgramRun help = run_program("sluice-inspect", "--help");
  EXPECT_EQ(help.code, 0);
  for (const char* flag : {"--stats", "--config", "--history", "--gates", "--verify", "--diff", "--filter", "--json"})
    EXPECT_THAT(help.out, HasSubstr(flag));
  const ProgramRun version = run_program("sluice-inspect", "--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, StartsWith("sluice-inspect 0."));
  for (const char* part : {"\n  compiler   ", "\n  oneDNN     ", "\n  HDF5       1.", "\n  processor  "})
    EXPECT_THAT(version.out, HasSubstr(part));
}

TEST_F(InspectProgram, ExitCodes) {
  EXPECT_EQ(run("").code, 0);
  EXPECT_EQ(run("--stats --gates --history --config").code, 0);
  EXPECT_EQ(run("--verify").code, 0);
  EXPECT_EQ(nlohmann::json::parse(run("--verify --json").out)["ok"], true);
  EXPECT_EQ(run("--diff='" + path("a.h5") + "'").code, 0);
  save(sample_checkpoint(7), path("b.h5"));
  EXPECT_EQ(run("--diff='" + path("b.h5") + "'").code, 1);
  std::string bytes = bytes_in(path("a.h5"));
  bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 4);
  write_file(path("a.h5"), bytes);
  EXPECT_EQ(run("--verify").code, 5);
  EXPECT_EQ(run("--verify --json").code, 5);
  EXPECT_EQ(run("").code, 5);
}

TEST_F(InspectProgram, ErrorsAreOneLine) {
  const auto error = [this](const std::string& arguments, int code) {
    const ProgramRun result = run_program("sluice-inspect", arguments);
    EXPECT_EQ(result.code, code) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err.substr(0, result.err.find('\n'));
  };
  const std::string begin = "sluice-inspect: ";
  EXPECT_EQ(error("", 2), begin + "command line: expected one file, got 0; see sluice-inspect --help");
  EXPECT_EQ(error("a.h5 b.h5", 2), begin + "command line: expected one file, got 2; see sluice-inspect --help");
  EXPECT_THAT(error("a.h5 --stat", 2),
              StartsWith(begin + "command line: unknown option '--stat'; did you mean '--stats'?"));
  EXPECT_EQ(error("a.h5 --verify --stats", 2), begin + "command line: --verify goes with --json and --timeout only");
  EXPECT_EQ(error("a.h5 --diff=b.h5 --config", 2),
            begin + "command line: --diff goes with --filter, --json and --timeout only");
  EXPECT_EQ(error("a.h5 --timeout=soon", 2), begin + "command line: --timeout: expected seconds above 0, got 'soon'");
  EXPECT_EQ(error("a.h5 --run.threads=2", 2), begin + "command line: there is nothing to configure: --run.threads=2");
  EXPECT_EQ(error(path("absent.h5"), 5), begin + path("absent.h5: cannot open: No such file or directory"));
  EXPECT_EQ(error(dir_, 5), begin + dir_ + ": is a directory, expected a checkpoint file");
  write_file(path("text.h5"), "[network]\n");
  EXPECT_EQ(error(path("text.h5"), 5),
            begin + path("text.h5: is no checkpoint: it does not begin with the signature of an HDF5 file"));
}

TEST_F(InspectProgram, OutputThatCannotBeWrittenIsAnError) {
  const ProgramRun result = run(">/dev/full");
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.err, StartsWith("sluice-inspect: cannot write to standard output: "));
}

}  // namespace
}  // namespace sluice
