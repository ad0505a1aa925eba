// Atomic replacement: the new file, or the old one untouched and nothing beside it; exact messages.
#include "core/base/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using testing::MatchesRegex;

class AtomicFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice_atomicXXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  static std::string read(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(directory_), {}); }
  template <class Body>
  static std::string message(Body body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kEnvironment);
      return error.what();
    }
    return "no error";
  }

  std::string directory_;
};

TEST_F(AtomicFile, MakesAndReplaces) {
  write_file_atomic(path("a"), "one\n");
  EXPECT_EQ(read(path("a")), "one\n");
  write_file_atomic(path("a"), std::string("two\0three", 9));
  EXPECT_EQ(read(path("a")), std::string("two\0three", 9));
  write_file_atomic(path("a"), "");
  EXPECT_EQ(read(path("a")), "");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, CommitsWhatAnotherWriterFilled) {
  const std::string temporary = temporary_name(path("model.h5"));
  EXPECT_THAT(temporary, MatchesRegex(path(concat(R"(\.model\.h5\.)", getpid(), R"(-[0-9a-f]+\.tmp)"))));
  EXPECT_NE(temporary, temporary_name(path("model.h5"))) << "a name that can be guessed";
  std::ofstream(temporary) << "weights";
  commit_file(temporary, path("model.h5"));
  EXPECT_EQ(read(path("model.h5")), "weights");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, ReadsWholeFiles) {
  const std::string bytes(200000, 'x');
  write_file_atomic(path("a"), bytes);
  EXPECT_EQ(read_file(path("a")), bytes);
  EXPECT_EQ(read_file(path("none")), std::nullopt);
  EXPECT_EQ(message([&] { read_file(directory_); }), directory_ + ": cannot read: Is a directory; name a file in it");
}

TEST_F(AtomicFile, AMissingDirectoryIsNamed) {
  const std::string target = path("none/a");
  EXPECT_EQ(message([&] { write_file_atomic(target, "x"); }),
            target + ": cannot open: No such file or directory; make the directory first");
}

TEST_F(AtomicFile, ADirectoryInTheWayIsNamedAndTheTemporaryRemoved) {
  fs::create_directories(path("taken/inside"));
  EXPECT_EQ(message([&] { write_file_atomic(path("taken"), "x"); }),
            path("taken") + ": is a directory, expected a regular file or nothing; remove it, or choose another place");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, AFullDiskLeavesTheOldFile) {
  write_file_atomic(path("a"), "old");
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4, 4};  // the write stops after four bytes, as on a full disk
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text = message([&] { write_file_atomic(path("a"), "much longer"); });
    const std::string advice = "raise the limit (ulimit -f), or choose a file system that takes larger files";
    _exit(text == path("a") + ": cannot write: File too large; " + advice ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read(path("a")), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, NothingButARegularFileIsReplaced) {
  std::ofstream(path("victim")) << "precious";
  fs::create_symlink("victim", path("link"));
  fs::create_symlink("none", path("dangling"));
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  const std::string end = ", expected a regular file or nothing; remove it, or choose another place";
  for (const char* name : {"link", "dangling", "fifo"}) {
    const std::string what = std::string(name) == "fifo" ? "a FIFO" : "a symbolic link";
    EXPECT_EQ(message([&] { write_file_atomic(path(name), "new"); }), path(name) + ": is " + what + end);
    std::ofstream(path(".filled")) << "new";
    EXPECT_EQ(message([&] { commit_file(path(".filled"), path(name)); }), path(name) + ": is " + what + end);
  }
  EXPECT_EQ(read(path("victim")), "precious");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(files(), 4);
}

TEST_F(AtomicFile, ATemporaryIsNoLink) {
  std::ofstream(path("victim")) << "precious";
  fs::create_symlink("victim", path(".planted"));
  EXPECT_EQ(message([&] { commit_file(path(".planted"), path("a")); }),
            path("a") +
                ": cannot open: Too many levels of symbolic links; name the file itself: its path goes through a "
                "symbolic link that is not followed, or in a circle");
  EXPECT_FALSE(fs::exists(path("a")));
}

TEST_F(AtomicFile, LongNamesHaveTemporariesToo) {
  const std::string name(255, 'n');
  write_file_atomic(path(name), "x");
  EXPECT_EQ(read(path(name)), "x");
  EXPECT_EQ(message([&] { write_file_atomic(path(name + "n"), "x"); }),
            path(name + "n") + ": cannot replace: File name too long; choose a shorter name");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, RoomIsProvedWithoutATrace) {
  std::ofstream(path(".probe")) << "mine";
  check_has_room(directory_, 1000);
  EXPECT_EQ(read(path(".probe")), "mine");
  EXPECT_EQ(files(), 1);
}

/// The number of a process that has ended.
pid_t dead_process() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  return child;
}

TEST_F(AtomicFile, StaleTemporariesGoAndNothingElse) {
  const std::string digits = "-0123456789abcdef.tmp", dead = concat(".a.", dead_process(), digits);
  const std::string old = concat(".b.1", digits);  // process 1 lives
  for (const char* name :
       {".notes.tmp", ".labels.v2.tmp", ".metrics.csv.17.tmp", ".a.x-0123456789abcdef.tmp",
        ".a.17-0123456789ABCDEF.tmp", ".a.17-0123.tmp", "a.17-0123456789abcdef.tmp", "a.tmp", ".tmp", ".hidden", "a"}) {
    std::ofstream file(path(name));
  }
  for (const std::string& name : {dead, old, concat(".c.1", digits)}) std::ofstream file(path(name));
  fs::last_write_time(path(old), fs::file_time_type::clock::now() - std::chrono::hours(25));
  fs::create_directory(path(".d" + dead));
  EXPECT_EQ(remove_stale_temporaries(directory_), 2);
  EXPECT_FALSE(fs::exists(path(dead)));
  EXPECT_FALSE(fs::exists(path(old)));
  EXPECT_EQ(files(), 13);
  EXPECT_EQ(remove_stale_temporaries(path("none")), 0);
}

TEST(SystemReason, SaysWhatToDo) {
  EXPECT_EQ(system_reason(EMFILE, Access::kRead), "Too many open files; raise the limit (ulimit -n)");
  EXPECT_EQ(system_reason(ENFILE, Access::kWrite),
            "Too many open files in system; close other programs, or have the machine's limit raised (fs.file-max)");
  EXPECT_EQ(system_reason(ENOMEM, Access::kRead),
            "Cannot allocate memory; free some memory, or raise its limit (ulimit -v, or that of the job)");
  EXPECT_EQ(system_reason(ENOTDIR, Access::kWrite), "Not a directory; correct the path: a part of it is a file");
  EXPECT_EQ(system_reason(EIO, Access::kRead), "Input/output error; check the disk");
  EXPECT_EQ(system_reason(EACCES, Access::kRead), "Permission denied");
  EXPECT_EQ(system_reason(EACCES, Access::kWrite), "Permission denied; choose a place that you may write to");
}

TEST(DirectoryOf, PathsWithAndWithoutSlashes) {
  EXPECT_EQ(directory_of("a"), ".");
  EXPECT_EQ(directory_of("a/b/c"), "a/b");
  EXPECT_EQ(directory_of("/c"), "/");
}

}  // namespace
}  // namespace sluice
