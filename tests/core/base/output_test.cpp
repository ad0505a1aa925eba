// Outputs: what they replace, what they are written to directly, what they refuse; exact messages.
#include "core/base/output.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice_outputXXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string put(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }
  static std::string read(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(directory_), {}); }
  /// Knows files that begin with "ours".
  static OutputRules rules(bool force = false) {
    return {"sluice-test", [](const std::string& file) { return read(file).rfind("ours", 0) == 0; }, force};
  }
  template <class Body>
  static std::string message(ExitCode code, Body body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.what();
    }
    return "no error";
  }
  std::string refusal(const std::string& file, bool force = false) const {
    return message(ExitCode::kUsage, [&] { Output(file, rules(force)); });
  }

  std::string directory_;
};

TEST_F(OutputTest, ReplacesNothingOrItsOwn) {
  const std::string a = path("a");
  Output(a, rules()).write("ours 1");
  EXPECT_EQ(read(a), "ours 1");
  const Output again(a, rules());
  EXPECT_FALSE(again.replaces_foreign());
  again.write("ours 2");
  EXPECT_EQ(read(a), "ours 2");
  EXPECT_EQ(files(), 1);
}

TEST_F(OutputTest, WhatOthersWroteNeedsForce) {
  const std::string a = put("a", "precious");
  EXPECT_EQ(refusal(a),
            a + ": is there already, and sluice-test did not write it; name another file, or replace it with --force");
  const Output forced(a, rules(true));
  EXPECT_TRUE(forced.replaces_foreign());
  EXPECT_EQ(read(a), "precious") << "replaced before there was anything to write";
  forced.write("ours");
  EXPECT_EQ(read(a), "ours");
}

TEST_F(OutputTest, LinksAreNotFollowed) {
  const std::string victim = put("victim", "ours"), link = path("link"), loop = path("loop"),
                    dangling = path("dangling");
  fs::create_symlink("victim", link);
  fs::create_symlink("loop", loop);
  fs::create_symlink("none", dangling);
  for (const std::string& name : {link, loop, dangling})
    EXPECT_EQ(
        refusal(name, true),
        name + ": is a symbolic link, which is not followed for writing; name the file itself, or remove the link");
  // A link that came while the program worked.
  const Output output(path("b"), rules());
  fs::create_symlink("victim", path("b"));
  EXPECT_EQ(message(ExitCode::kEnvironment, [&] { output.write("x"); }),
            path("b") + ": is a symbolic link, expected a regular file or nothing; remove it, or choose another place");
  EXPECT_EQ(read(victim), "ours");
}

TEST_F(OutputTest, PlacesThatCannotBeWritten) {
  const auto environment = [&](const std::string& file) {
    return message(ExitCode::kEnvironment, [&] { Output(file, rules()); });
  };
  EXPECT_EQ(environment(directory_), directory_ + ": is a directory, expected the name of a file");
  EXPECT_EQ(environment(path("none/a")),
            path("none/a") + ": cannot write: No such file or directory; make the directory first");
  EXPECT_EQ(environment("/dev/fd/250"),
            "/dev/fd/250: cannot write: Bad file descriptor; it was closed: redirect it to a file, or to /dev/null");
  const int end = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(end, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(refusal(path("socket"), true),
            path("socket") + ": is a socket; expected a file, a FIFO or '-', standard output");
  close(end);
}

TEST_F(OutputTest, InputsAreNotWrittenOver) {
  const std::string input = put("input", "ours");
  fs::create_symlink("input", path("link"));
  fs::create_hard_link(input, path("other"));
  const Output same(input, rules()), hard(path("other"), rules(true)), unrelated(put("free", "ours"), rules());
  const auto refused = [&](const Output& output, const std::string& name) {
    return message(ExitCode::kUsage, [&] { output.refuse_inputs({path("none"), name}); });
  };
  EXPECT_EQ(refused(same, input), input + ": is read by this call; name another file");
  EXPECT_EQ(refused(same, path("link")), input + ": is read by this call as " + path("link") + "; name another file");
  EXPECT_EQ(refused(hard, input), path("other") + ": is read by this call as " + input + "; name another file");
  EXPECT_EQ(refused(unrelated, input), "no error");
}

TEST_F(OutputTest, AFifoStaysOne) {
  const std::string fifo = path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  Output(fifo, rules()).write("bytes");
  char text[8] = "";
  EXPECT_EQ(::read(reader, text, sizeof(text)), 5);
  EXPECT_STREQ(text, "bytes");
  EXPECT_TRUE(fs::is_fifo(fifo));
  close(reader);
}

TEST_F(OutputTest, ADeviceStaysOne) {
  Output("/dev/null", rules()).write("bytes");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(message(ExitCode::kEnvironment, [] { Output("/dev/full", rules()).write("bytes"); }),
            "/dev/full: cannot write: No space left on device; free some space, or choose a place with more room");
}

/// Exit code of a child whose standard output is `file`, opened with `flags`.
template <class Body>
int with_standard_output(const std::string& file, int flags, Body body) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(open(file.c_str(), flags, 0600), STDOUT_FILENO);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(OutputTest, StandardOutputIsWrittenWhereItStands) {
  const std::string log = put("log", "before\n");
  for (const char* name : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
    EXPECT_EQ(with_standard_output(log, O_WRONLY | O_APPEND,
                                   [&] {
                                     const Output output(name, rules());
                                     if (!output.is_standard_output()) return 1;
                                     output.write("bytes\n");
                                     return 0;
                                   }),
              0);
  }
  EXPECT_EQ(read(log), "before\nbytes\nbytes\nbytes\nbytes\n");
  EXPECT_EQ(with_standard_output(log, O_WRONLY | O_APPEND,
                                 [&] {
                                   const Output output("-", rules());
                                   const std::string text =
                                       message(ExitCode::kUsage, [&] { output.refuse_inputs({log}); });
                                   return text == "-: is read by this call as " + log + "; name another file" ? 0 : 1;
                                 }),
            0);
}

TEST_F(OutputTest, StandardDescriptorsAreThereBeforeAnythingOpens) {
  const std::string file = put("file", "mine");
  const pid_t child = fork();
  if (child == 0) {
    for (int fd : {0, 1, 2}) close(fd);
    occupy_standard_descriptors();
    if (open(file.c_str(), O_RDWR) < 3) _exit(1);
    if (write(1, "x", 1) != -1 || write(2, "x", 1) != -1) _exit(2);
    char byte = 0;
    if (::read(0, &byte, 1) != -1) _exit(3);
    const std::string text = message(ExitCode::kEnvironment, [] { Output("-", rules()); });
    _exit(text == "-: cannot write: Bad file descriptor; it was closed: redirect it to a file, or to /dev/null" ? 0
                                                                                                                : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(read(file), "mine");
}

}  // namespace
}  // namespace sluice
