// Atomic replacement: the new file, or the old one untouched and nothing beside it; exact messages.
#include "core/base/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

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
  EXPECT_EQ(temporary, path(concat(".model.h5.", getpid(), ".tmp")));
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
  EXPECT_EQ(message([&] { read_file(directory_); }),
            directory_ + ": cannot read: Is a directory; check the disk and the path");
}

TEST_F(AtomicFile, AMissingDirectoryIsNamed) {
  const std::string target = path("none/a");
  EXPECT_EQ(message([&] { write_file_atomic(target, "x"); }),
            target + ": cannot open: No such file or directory; make the directory first");
}

TEST_F(AtomicFile, ADirectoryInTheWayIsNamedAndTheTemporaryRemoved) {
  fs::create_directories(path("taken/inside"));
  EXPECT_EQ(message([&] { write_file_atomic(path("taken"), "x"); }),
            path("taken") + ": cannot replace: Is a directory; check the disk and the path");
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
    _exit(text == path("a") + ": cannot write: File too large; free some space, or choose a place with more room" ? 0
                                                                                                                  : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read(path("a")), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, StaleTemporariesGoAndNothingElse) {
  for (const char* name : {".metrics.csv.17.tmp", ".a.tmp", "a.tmp", ".tmp", ".hidden", "a"}) {
    std::ofstream file(path(name));
  }
  EXPECT_EQ(remove_stale_temporaries(directory_), 2);
  EXPECT_FALSE(fs::exists(path(".metrics.csv.17.tmp")));
  EXPECT_EQ(files(), 4);
  EXPECT_EQ(remove_stale_temporaries(path("none")), 0);
}

TEST(DirectoryOf, PathsWithAndWithoutSlashes) {
  EXPECT_EQ(directory_of("a"), ".");
  EXPECT_EQ(directory_of("a/b/c"), "a/b");
  EXPECT_EQ(directory_of("/c"), "/");
}

}  // namespace
}  // namespace sluice
