// The run directory: new, resumed, mixed, locked, unwritable, full; exact messages and exit codes.
#include "core/train/run_directory.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "core/base/error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

std::string failure(const std::string& path, RunMode mode, ExitCode code) {
  try {
    const RunDirectory run(path, mode);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

/// Exit code of a child that runs `body`.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(body());
    } catch (...) {
      _exit(98);  // never back into the test program
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class RunDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice_runXXXXXX";
    base_ = mkdtemp(name);
    path_ = base_ + "/runs/a";
  }
  void TearDown() override { fs::remove_all(base_); }
  void touch(const std::string& name) const {
    fs::create_directories(fs::path(path_ + "/" + name).parent_path());
    std::ofstream(path_ + "/" + name) << "x";
  }

  std::string base_, path_;
};

TEST_F(RunDirectoryTest, IsMadeWithItsParents) {
  const RunDirectory run(path_ + "//", RunMode::kNew);
  EXPECT_EQ(run.path(), path_);
  EXPECT_FALSE(run.holds_run());
  EXPECT_EQ(run.warnings(), std::vector<std::string>{});
  EXPECT_EQ(run.config_file(), path_ + "/config.ini");
  EXPECT_EQ(run.weights_file(), path_ + "/weights.h5");
  EXPECT_EQ(run.metrics_csv(), path_ + "/metrics.csv");
  EXPECT_EQ(run.metrics_jsonl(), path_ + "/metrics.jsonl");
  EXPECT_EQ(run.log_file(), path_ + "/log.txt");
  EXPECT_EQ(run.checkpoints(), path_ + "/checkpoints");
  EXPECT_EQ(std::distance(fs::directory_iterator(path_), {}), 1);  // only the lock
}

TEST_F(RunDirectoryTest, DiscardTakesBackWhatWasMade) {
  {
    RunDirectory run(path_, RunMode::kNew);
    for (const char* name : {"config.ini", "metrics.csv", "metrics.jsonl", "log.txt"}) touch(name);
    fs::create_directory(run.checkpoints());
    run.discard();
  }
  EXPECT_TRUE(fs::is_empty(base_));
  touch("slurm-17.out");
  {
    RunDirectory run(path_, RunMode::kNew);
    touch("log.txt");
    run.discard();
  }
  EXPECT_EQ(failure(path_, RunMode::kNew, ExitCode::kDone), "no error");
  EXPECT_TRUE(fs::exists(path_ + "/slurm-17.out"));
  EXPECT_FALSE(fs::exists(path_ + "/log.txt"));
  touch("checkpoints/checkpoint-0000000001.h5");
  touch("log.txt");
  RunDirectory held(path_, RunMode::kResume);
  held.discard();
  EXPECT_TRUE(fs::exists(path_ + "/log.txt"));
}

TEST_F(RunDirectoryTest, ARefusalLeavesNothing) {
  touch("file");
  EXPECT_NE(failure(path_ + "/file/b/c", RunMode::kNew, ExitCode::kEnvironment), "no error");
  EXPECT_NE(failure(path_ + "/b/c", RunMode::kResume, ExitCode::kUsage), "no error");
  EXPECT_EQ(std::distance(fs::directory_iterator(path_), {}), 1);
}

TEST_F(RunDirectoryTest, FilesOfOthersAreNoRun) {
  touch("slurm-17.out");
  fs::create_directory(path_ + "/checkpoints");
  const RunDirectory run(path_, RunMode::kNew);
  EXPECT_FALSE(run.holds_run());
  EXPECT_TRUE(fs::exists(path_ + "/slurm-17.out"));
}

TEST_F(RunDirectoryTest, ARunIsNotMixedWithANewOne) {
  for (const char* name : {"config.ini", "changes.log", "weights.h5", "metrics.csv", "metrics.jsonl", "log.txt"}) {
    touch(name);
    EXPECT_EQ(failure(path_, RunMode::kNew, ExitCode::kUsage),
              path_ + ": holds a run already (" + name +
                  "); continue it with --resume or --auto-resume, or choose another run.dir");
    EXPECT_FALSE(fs::exists(path_ + "/.lock")) << "the refusal left a file";
    fs::remove(path_ + "/" + name);
  }
  touch("log.txt");
  touch("checkpoints/checkpoint-0000000001.h5");
  EXPECT_EQ(failure(path_, RunMode::kNew, ExitCode::kUsage),
            path_ +
                ": holds a run already (log.txt, checkpoints); continue it with --resume or --auto-resume, or choose "
                "another run.dir");
}

TEST_F(RunDirectoryTest, ResumingTakesARunThatIsThere) {
  touch("metrics.csv");
  for (RunMode mode : {RunMode::kResume, RunMode::kAutoResume}) EXPECT_TRUE(RunDirectory(path_, mode).holds_run());
  EXPECT_TRUE(fs::exists(path_ + "/metrics.csv"));
}

TEST_F(RunDirectoryTest, ResumingNothingIsAnErrorAndMakesNothing) {
  EXPECT_EQ(failure(path_, RunMode::kResume, ExitCode::kUsage),
            path_ + ": there is no run to resume; start one without --resume, or use --auto-resume");
  EXPECT_FALSE(fs::exists(base_ + "/runs"));
  EXPECT_FALSE(RunDirectory(path_, RunMode::kAutoResume).holds_run());
}

TEST_F(RunDirectoryTest, TwoProcessesDoNotShareIt) {
  std::string message;
  {
    const RunDirectory run(path_, RunMode::kNew);
    touch("log.txt");
    const int code = in_child([&] {
      for (RunMode mode : {RunMode::kNew, RunMode::kAutoResume}) {
        const std::string text = failure(path_, mode, ExitCode::kEnvironment);
        const std::string begin = concat(path_, ": another process (", getppid(), " on ");
        const std::string end = ") uses this run directory; wait until it ends, or choose another run.dir";
        if (text.compare(0, begin.size(), begin) != 0 || text.size() < end.size() ||
            text.compare(text.size() - end.size(), end.size(), end) != 0)
          return 1;
      }
      return 0;
    });
    EXPECT_EQ(code, 0);
  }
  EXPECT_EQ(failure(path_, RunMode::kAutoResume, ExitCode::kEnvironment), "no error");  // it was released
}

TEST_F(RunDirectoryTest, TheLockGoesWithAKilledProcess) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const RunDirectory run(path_, RunMode::kNew);
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_NE(failure(path_, RunMode::kNew, ExitCode::kEnvironment), "no error");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(failure(path_, RunMode::kNew, ExitCode::kEnvironment), "no error");
  close(ready[0]);
  close(ready[1]);
}

TEST_F(RunDirectoryTest, StaleTemporariesGo) {
  const std::string stale = concat(".metrics.csv.", getpid(), "-0123456789abcdef.tmp");  // of an earlier process
  for (const std::string& name : {stale, std::string(".notes.tmp"), std::string(".write-probe")}) touch(name);
  const RunDirectory run(path_, RunMode::kNew);
  EXPECT_FALSE(fs::exists(path_ + "/" + stale));
  EXPECT_TRUE(fs::exists(path_ + "/.notes.tmp"));
  EXPECT_TRUE(fs::exists(path_ + "/.write-probe"));
}

TEST_F(RunDirectoryTest, LinksAreNotFollowed) {
  touch("victim");
  const std::string end =
      ": is a symbolic link, expected a regular file or nothing; remove it, or choose another place";
  fs::create_symlink("victim", path_ + "/.lock");
  EXPECT_EQ(failure(path_, RunMode::kNew, ExitCode::kEnvironment), path_ + "/.lock" + end);
  fs::remove(path_ + "/.lock");
  for (const char* name : {"config.ini", "changes.log", "weights.h5", "metrics.csv", "metrics.jsonl", "log.txt"}) {
    for (const char* target : {"victim", "none"}) {
      touch("checkpoints/checkpoint-0000000001.h5");
      fs::create_symlink(target, path_ + "/" + name);
      EXPECT_EQ(failure(path_, RunMode::kResume, ExitCode::kEnvironment), path_ + "/" + name + end);
      fs::remove(path_ + "/" + name);
    }
  }
  EXPECT_EQ(fs::file_size(path_ + "/victim"), 1U);
}

TEST_F(RunDirectoryTest, AFileOfSomebodyElseIsNoLock) {
  touch(".lock");
  EXPECT_EQ(failure(path_, RunMode::kAutoResume, ExitCode::kUsage),
            path_ + "/.lock: is no lock of Sluice, which needs this name; choose another run.dir");
  EXPECT_EQ(fs::file_size(path_ + "/.lock"), 1U);
}

TEST_F(RunDirectoryTest, ALockMayBeCutOff) {
  touch("log.txt");
  for (const char* text : {"", "4711", "4711 o", "4711 on ", "4711 on node3\n"}) {
    std::ofstream(path_ + "/.lock") << text;
    EXPECT_EQ(failure(path_, RunMode::kResume, ExitCode::kDone), "no error") << text;
  }
  for (const char* text : {" on node3", "4711 of node3", "node3"}) {
    std::ofstream(path_ + "/.lock") << text;
    EXPECT_NE(failure(path_, RunMode::kResume, ExitCode::kUsage), "no error") << text;
  }
}

TEST_F(RunDirectoryTest, AConfigurationOfTheUserStays) {
  touch("config.ini");
  EXPECT_EQ(failure(path_, RunMode::kAutoResume, ExitCode::kUsage),
            path_ +
                "/config.ini: a run would replace it by its resolved configuration, and nothing else of a run is "
                "here; move it out of the run directory, or choose another run.dir");
  touch("log.txt");
  EXPECT_EQ(failure(path_, RunMode::kAutoResume, ExitCode::kDone), "no error");
}

TEST_F(RunDirectoryTest, PathsThatCannotBeARunDirectory) {
  EXPECT_EQ(failure("", RunMode::kNew, ExitCode::kUsage), "[run] dir: expected the path of the run directory, got ''");
  touch("file");
  EXPECT_EQ(failure(path_ + "/file", RunMode::kNew, ExitCode::kUsage),
            path_ + "/file: [run] dir names a file, not a directory; choose another run.dir");
  EXPECT_EQ(
      failure(path_ + "/file/deeper", RunMode::kNew, ExitCode::kEnvironment),
      path_ + "/file/deeper: cannot make the directory: Not a directory; correct the path: a part of it is a file");
}

TEST_F(RunDirectoryTest, AnUnwritableDirectoryIsNoticedBeforeTraining) {
  fs::create_directories(path_);
  fs::permissions(base_, fs::perms::all);
  fs::permissions(path_, fs::perms(0555));
  const int code = in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return 2;  // nobody: permissions do not stop root
    return failure(path_, RunMode::kNew, ExitCode::kEnvironment) ==
                   path_ + "/.lock: cannot open: Permission denied; choose a place that you may write to"
               ? 0
               : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST_F(RunDirectoryTest, AFullDiskIsNoticedBeforeTraining) {
  const int code = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    return failure(path_, RunMode::kNew, ExitCode::kEnvironment) ==
                   path_ +
                       ": cannot write: File too large; raise the limit (ulimit -f), or choose a file system that "
                       "takes larger files"
               ? 0
               : 1;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(fs::is_empty(base_));
}

}  // namespace
}  // namespace sluice
