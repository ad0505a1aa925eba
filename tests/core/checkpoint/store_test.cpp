// A run's checkpoints survive what happens to runs: kill -9, full disks, damaged files, going back to an older step.
#include "core/checkpoint/store.hpp"

#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/checkpoint/seal.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Store : public InDirectory {
 protected:
  std::int64_t loaded_step(const CheckpointStore& store) {
    const auto last = store.last();
    return last ? std::get<std::int64_t>(last->checkpoint.state.at("step")) : -1;
  }
};

TEST_F(Store, KeepsTheNewestAndTheBest) {
  CheckpointStore store(dir_, 2);
  EXPECT_FALSE(store.last().has_value());
  for (std::int64_t step : {5, 10, 15, 20}) store.save(sample_checkpoint(1, step), step, step == 10);
  EXPECT_THAT(store.steps(), ElementsAre(15, 20));
  EXPECT_EQ(loaded_step(store), 20);
  EXPECT_EQ(std::get<std::int64_t>(load(store.best_path()).state.at("step")), 10);
  store.save(sample_checkpoint(1, 20), 20, true);
  store.save(sample_checkpoint(1, 20), 20, true);
  EXPECT_EQ(std::get<std::int64_t>(load(store.best_path()).state.at("step")), 20);
  EXPECT_THAT(files(), ElementsAre("best.h5", "checkpoint-0000000015.h5", "checkpoint-0000000020.h5"));
}

TEST_F(Store, RemovesStaleTemporariesAndNothingElse) {
  write_file(path(concat(".checkpoint-0000000005.h5.", getpid(), "-0123456789abcdef.tmp")), "half");
  write_file(path("notes.txt"), "mine");
  CheckpointStore store(dir_, 2);
  EXPECT_THAT(files(), ElementsAre("notes.txt"));
}

TEST_F(Store, FallsBackToTheCheckpointBefore) {
  CheckpointStore store(dir_, 3);
  for (std::int64_t step : {5, 10, 15}) store.save(sample_checkpoint(1, step), step, false);
  std::string bytes = bytes_in(store.path_of(15));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 16);
  write_file(store.path_of(15), bytes);
  write_file(store.path_of(10), "");
  const auto last = store.last();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->path, store.path_of(5));
  ASSERT_EQ(last->warnings.size(), 2u);
  EXPECT_THAT(last->warnings[0], StartsWith(store.path_of(15) + ": is damaged: the digest of its"));
  EXPECT_EQ(last->warnings[1], store.path_of(10) +
                                   ": is empty (0 bytes); take an older checkpoint or a copy; continuing from " +
                                   store.path_of(5) + " instead");
  // The run goes on from step 5: what it writes then takes the place of the damaged ones.
  store.save(sample_checkpoint(1, 8), 8, false);
  EXPECT_THAT(store.steps(), ElementsAre(5, 8));
}

TEST_F(Store, SaysSoWhenNoneCanBeUsed) {
  CheckpointStore store(dir_, 3);
  write_file(store.path_of(10), "");
  write_file(store.best_path(), "text");
  const std::string text = error_text([&] { store.last(); }, ExitCode::kCheckpoint);
  EXPECT_EQ(text, dir_ + ": none of 2 checkpoints can be used:\n  " + store.path_of(10) +
                      ": is empty (0 bytes); take an older checkpoint or a copy\n  " + store.best_path() +
                      ": is no checkpoint: it does not begin with the signature of an HDF5 file");
}

TEST_F(Store, TheBestIsUsedWhenNothingElseIsThere) {
  CheckpointStore store(dir_, 1);
  store.save(sample_checkpoint(1, 10), 10, true);
  std::filesystem::remove(store.path_of(10));
  EXPECT_EQ(loaded_step(store), 10);
}

TEST_F(Store, UnwritableDirectories) {
  write_file(path("file"), "x");
  EXPECT_THAT(error_text([&] { CheckpointStore store(path("file/run"), 1); }, ExitCode::kEnvironment),
              StartsWith(path("file/run: cannot make the directory: Not a directory")));
  EXPECT_THAT(error_text([&] { CheckpointStore store("/proc/run", 1); }, ExitCode::kEnvironment),
              StartsWith("/proc/run: cannot make the directory: No such file or directory"));
  EXPECT_THAT(error_text([&] { save(sample_checkpoint(), path("absent/a.h5")); }, ExitCode::kEnvironment),
              StartsWith(path("absent/a.h5: cannot open: No such file or directory")));
  EXPECT_THAT(error_text([&] { save(sample_checkpoint(), "/proc/a.h5"); }, ExitCode::kEnvironment),
              StartsWith("/proc/a.h5: cannot open: "));
}

/// Files larger than the limit cannot be written while it lives: the write fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(Store, AFullDiskLeavesTheOldCheckpoints) {
  CheckpointStore store(dir_, 1);
  store.save(sample_checkpoint(1, 5), 5, true);
  const std::string before = bytes_in(store.path_of(5));
  for (const rlim_t limit : {rlim_t{0}, rlim_t{1}, rlim_t{before.size() / 2}, rlim_t{before.size() - 1}}) {
    std::string text, same;
    {
      const FileSizeLimit full(limit);
      text = error_text([&] { store.save(sample_checkpoint(1, 10), 10, true); }, ExitCode::kEnvironment);
      same = error_text([&] { store.save(sample_checkpoint(2, 5), 5, true); }, ExitCode::kEnvironment);
    }
    EXPECT_EQ(text, store.path_of(10) +
                        ": cannot write: File too large; raise the limit (ulimit -f), or choose a file system that "
                        "takes larger files");
    EXPECT_THAT(same, HasSubstr("cannot write: File too large"));
    EXPECT_THAT(files(), ElementsAre("best.h5", "checkpoint-0000000005.h5"));
    EXPECT_EQ(bytes_in(store.path_of(5)), before);
    EXPECT_EQ(bytes_in(store.best_path()), before);
  }
  store.save(sample_checkpoint(1, 10), 10, false);
  EXPECT_EQ(loaded_step(store), 10);
}

constexpr int kNotPermitted = 77;

/// In a child of its own name space: fills a tiny file system with checkpoints until one does not fit. Prints the
/// error, the steps that are left and the names of all files.
int fill_a_tiny_disk(const std::string& dir, std::ostream& out) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNotPermitted;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kNotPermitted;
  if (::mount("none", dir.c_str(), "tmpfs", 0, "size=176k") != 0) return kNotPermitted;
  CheckpointStore store(dir, 10);
  try {
    for (std::int64_t step = 1; step < 20; ++step) store.save(sample_checkpoint(1, step), step, false);
  } catch (const Error& error) {
    out << static_cast<int>(error.code()) << " " << error.what() << "\n";
  }
  out << "last " << std::get<std::int64_t>(store.last()->checkpoint.state.at("step")) << "\n";
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() != ".h5") out << "left behind " << entry.path() << "\n";
  }
  return 0;
}

TEST_F(Store, ARealFullDisk) {
  const std::string told = path("told.txt");  // opened before the directory gets another file system
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream out(told);
    const int code = fill_a_tiny_disk(dir_, out);
    out.close();
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotPermitted) GTEST_SKIP() << "mounting a small file system is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(bytes_in(told), "6 " + dir_ +
                                "/checkpoint-0000000004.h5: cannot write: No space left on device; free some space, or "
                                "choose a place with more room\nlast 3\n");
}

/// Saves steps in order until it is killed; tells the parent of each save that returned.
[[noreturn]] void save_forever(const std::string& dir, std::int64_t step, int report) {
  try {
    CheckpointStore store(dir, 2);
    for (;; ++step) {
      store.save(sample_checkpoint(static_cast<std::uint64_t>(step), step), step, step % 3 == 0);
      if (::write(report, &step, sizeof(step)) != sizeof(step)) break;
    }
  } catch (...) {
  }
  ::_exit(99);
}

TEST_F(Store, KilledAtAnyMomentTheDirectoryHoldsACheckpointThatVerifies) {
  Random random(9, Purpose::kTest);
  std::int64_t reported = 0;
  const CheckpointStore store(dir_, 2);
  for (int round = 0; round < 40; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) save_forever(dir_, reported + 1, ends[1]);
    ::close(ends[1]);
    // At least one save returns, then the kill comes anywhere in the next ones.
    std::int64_t step = 0;
    ASSERT_EQ(::read(ends[0], &step, sizeof(step)), static_cast<ssize_t>(sizeof(step)));
    ::usleep(static_cast<useconds_t>(random.below(20000)));
    ::kill(child, SIGKILL);
    do reported = step;
    while (::read(ends[0], &step, sizeof(step)) == static_cast<ssize_t>(sizeof(step)));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "round " << round << ", status " << status;
    const auto last = store.last();
    ASSERT_TRUE(last.has_value());
    EXPECT_TRUE(last->warnings.empty()) << last->warnings.front();
    const std::int64_t newest = std::get<std::int64_t>(last->checkpoint.state.at("step"));
    EXPECT_GE(newest, reported);
    EXPECT_LE(newest, reported + 1);
    EXPECT_EQ(content_digest(last->checkpoint),
              content_digest(sample_checkpoint(static_cast<std::uint64_t>(newest), newest)));
    if (!std::filesystem::exists(store.best_path())) continue;
    EXPECT_EQ(std::get<std::int64_t>(load(store.best_path()).state.at("step")) % 3, 0);
  }
}

}  // namespace
}  // namespace sluice
