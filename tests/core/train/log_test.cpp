// Log lines and progress into pipes and into a pseudo-terminal.
#include "core/train/log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/train/progress.hpp"

namespace sluice {
namespace {

using testing::MatchesRegex;

/// One end to write into, one to read what came out.
struct Channel {
  int reader = -1, writer = -1;
  ~Channel() {
    close(reader);
    if (writer >= 0) close(writer);
  }
  /// Everything written so far.
  std::string read_all() const {
    std::string text;
    char block[4096];
    for (pollfd ready{reader, POLLIN, 0}; poll(&ready, 1, 20) > 0 && (ready.revents & POLLIN) != 0;) {
      const ssize_t count = read(reader, block, sizeof block);
      if (count <= 0) break;
      text.append(block, static_cast<std::size_t>(count));
    }
    return text;
  }
};

struct Pipe : Channel {
  Pipe() {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    reader = ends[0];
    writer = ends[1];
  }
};

struct Terminal : Channel {
  explicit Terminal(unsigned short columns) {
    winsize size{24, columns, 0, 0};
    if (openpty(&reader, &writer, nullptr, nullptr, &size) != 0) std::abort();
  }
};

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TERM", "xterm", 1);
    char name[] = "/tmp/sluice_logXXXXXX";
    close(mkstemp(name));
    file_ = name;
  }
  void TearDown() override { unlink(file_.c_str()); }
  std::string file_text() const {
    std::ifstream stream(file_);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::string file_;
};

const char kStamp[] = "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][+-][0-9][0-9][0-9][0-9] ";

TEST_F(LogTest, WhatComesFromFilesCannotActOnTheTerminal) {
  Pipe out, err;
  Log log(out.writer, err.writer);
  log.info("a\x1b]0;owned\a\nb");
  log.warning("caf\xe9");
  EXPECT_EQ(out.read_all(), "a\\x1b]0;owned\\x07\nb\n");
  EXPECT_EQ(err.read_all(), "warning: caf\\xe9\n");
}

TEST_F(LogTest, LinesGoToTheirStreamAndAllToTheFile) {
  Pipe out, err;
  {
    Log log(out.writer, err.writer);
    log.info("before the file");
    log.open_file(file_);
    log.info("hello");
    log.warning("odd");
    log.error("bad\nvery bad");
    log.note("only here");
  }
  EXPECT_EQ(out.read_all(), "before the file\nhello\n");
  EXPECT_EQ(err.read_all(), "warning: odd\nerror: bad\nvery bad\n");
  const std::string s = kStamp;
  EXPECT_THAT(file_text(), MatchesRegex(s + "hello\n" + s + "warning: odd\n" + s + "error: bad\n" + s + "very bad\n" +
                                        s + "only here\n"));
}

TEST_F(LogTest, TheFileIsAppendedTo) {
  Pipe out, err;
  for (const char* text : {"first", "second"}) {
    Log log(out.writer, err.writer);
    log.open_file(file_);
    log.info(text);
  }
  const std::string s = kStamp;
  EXPECT_THAT(file_text(), MatchesRegex(s + "first\n" + s + "second\n"));
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsNamed) {
  Log log;
  try {
    log.open_file("/nowhere/log.txt");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    EXPECT_STREQ(error.what(), "/nowhere/log.txt: cannot open: No such file or directory; make the directory first");
  }
}

TEST_F(LogTest, AFullDiskIsSaidOnceAndStopsNothing) {
  Pipe out, err;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{0, 0};
    setrlimit(RLIMIT_FSIZE, &limit);
    Log log(out.writer, err.writer);
    log.open_file(file_);
    log.info("one");
    log.info("two");
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(out.read_all(), "one\ntwo\n");
  EXPECT_EQ(err.read_all(), "warning: " + file_ +
                                ": cannot write: File too large; raise the limit (ulimit -f), or choose a file system "
                                "that takes larger files; the log file will miss lines\n");
}

TEST_F(LogTest, AConsoleThatWentAwayStopsNothing) {
  Pipe out, err;
  close(out.reader);
  out.reader = open("/dev/null", O_RDONLY);
  const auto before = signal(SIGPIPE, SIG_IGN);
  Log log(out.writer, err.writer);
  log.open_file(file_);
  log.info("into the void");
  signal(SIGPIPE, before);
  EXPECT_THAT(file_text(), testing::HasSubstr("into the void"));
}

TEST_F(LogTest, LinesOfSeveralThreadsStayWhole) {
  Pipe out, err;
  std::vector<std::thread> threads;
  {
    Log log(out.writer, err.writer);
    for (char letter : {'a', 'b', 'c'})
      threads.emplace_back([&log, letter] {
        for (int i = 0; i < 50; ++i) log.info(std::string(200, letter));
      });
    for (std::thread& thread : threads) thread.join();
  }
  const std::string text = out.read_all();
  ASSERT_EQ(text.size(), 150U * 201U);
  for (std::size_t i = 0; i < text.size(); i += 201) ASSERT_EQ(text.substr(i, 201), std::string(200, text[i]) + '\n');
}

TEST_F(LogTest, APipeHasNoStatusAndATerminalHas) {
  Pipe out, err;
  Terminal terminal(20);
  Log piped(out.writer, err.writer), shown(out.writer, terminal.writer);
  EXPECT_FALSE(piped.terminal());
  EXPECT_TRUE(shown.terminal());
  EXPECT_EQ(shown.width(), 20);
  piped.set_status("working");
  shown.set_status("a status of more than twenty columns");
  EXPECT_EQ(err.read_all(), "");
  EXPECT_EQ(terminal.read_all(), "\ra status of more th\033[K");
  shown.set_status("short");
  EXPECT_EQ(terminal.read_all(), "\rshort\033[K");
  shown.warning("line");  // the status makes way and comes back below
  EXPECT_EQ(terminal.read_all(), "\r\033[Kwarning: line\r\n\rshort\033[K");
  shown.set_status("");
  EXPECT_EQ(terminal.read_all(), "\r\033[K");
  shown.warning("bare");
  EXPECT_EQ(terminal.read_all(), "warning: bare\r\n");
}

TEST_F(LogTest, AStatusIsCutBetweenCharacters) {
  Terminal terminal(8);
  Log log(STDOUT_FILENO, terminal.writer);
  log.set_status("Bär: 3 Öfen");
  EXPECT_EQ(terminal.read_all(), "\rBär: 3 \033[K");
  log.set_status("ÄÖÜÄÖÜÄÖ");
  EXPECT_EQ(terminal.read_all(), "\rÄÖÜÄÖÜÄ\033[K");
  log.set_status("");
}

TEST_F(LogTest, ADumbTerminalIsNotRedrawn) {
  Terminal terminal(80);
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(Log(terminal.writer, terminal.writer).terminal());
}

/// Progress on a clock that the test sets.
class ProgressTest : public LogTest {
 protected:
  TimeBudget::Clock clock() {
    return [this] { return now_; };
  }
  double now_ = 1000;
  KeptRoom room_;
};

TEST_F(ProgressTest, PlainLinesComeEveryIntervalAndHaveNoCarriageReturn) {
  Pipe out, err;
  Log log(out.writer, err.writer);
  Progress progress(log, {60}, room_, clock());
  std::string lines;
  progress.begin("epoch 3/60", 50000, 0, 100000);
  for (int step = 1; step <= 130; ++step) {
    now_ += 1;
    progress.advance(200);
    if (progress.due()) progress.show({{"loss 1.23", "", 85}});
    if (step == 100) {
      progress.end();  // the next phase does not restart the interval
      progress.begin("validation", 10000);
    }
  }
  EXPECT_EQ(out.read_all(),
            "epoch 3/60  24 %  loss 1.23  200 images/s  epoch ETA 3:10  run ETA 11:30\n"
            "validation  40 %  loss 1.23  200 images/s  ETA 0:30\n");
  EXPECT_EQ(err.read_all(), "");
}

TEST_F(ProgressTest, TheSpeedOfALineIsTheSpeedSinceTheLastOne) {
  Pipe out, err;
  Log log(out.writer, err.writer);
  Progress progress(log, {10}, room_, clock());
  progress.begin("epoch 1/1", 3000, 1000);
  for (std::int64_t images : {1000, 500}) {
    now_ += 10;
    progress.advance(images);
    ASSERT_TRUE(progress.due());
    progress.show({});
    EXPECT_FALSE(progress.due());
  }
  EXPECT_EQ(out.read_all(), "epoch 1/1  66 %  100 images/s  ETA 0:10\nepoch 1/1  83 %  50.0 images/s  ETA 0:10\n");
}

TEST_F(ProgressTest, IntervalZeroMeansNoLines) {
  Pipe out, err;
  Log log(out.writer, err.writer);
  Progress progress(log, {0}, room_, clock());
  progress.begin("epoch 1/1", 100);
  now_ += 1e6;
  EXPECT_FALSE(progress.due());
}

TEST_F(ProgressTest, WhatMattersMostStaysOnANarrowTerminal) {
  const std::vector<LinePart> values = {{"loss 1.2345", "loss 1.23", 85},
                                        {"accuracy 45.67 %", "acc 46%", 80},
                                        {"gate_density 0.4530", "dens 0.45", 75},
                                        {"lr 0.1", "", 30}};
  const std::pair<unsigned short, std::string> wanted[] = {
      {60, "103/160 25% loss 1.23 acc 46% dens 0.45 1250/s run ETA 38m"},
      {80, "103/160 25% loss 1.23 acc 46% dens 0.45 1250/s epoch ETA 30s run ETA 38m"},
      {200,
       "epoch 103/160  [#######.......................]  25 %  loss 1.2345  accuracy 45.67 %  "
       "gate_density 0.4530  lr 0.1  1250 images/s  epoch ETA 0:30  run ETA 38:30"}};
  for (const auto& [width, line] : wanted) {
    Pipe out;
    Terminal terminal(width);
    Log log(out.writer, terminal.writer);
    Progress progress(log, {60}, room_, clock());
    progress.begin("epoch 103/160", 50000, 0, 57 * 50000);
    now_ += 10;
    progress.advance(12500);
    progress.show(values);
    EXPECT_EQ(terminal.read_all(), "\r" + line + "\033[K");
  }
}

TEST_F(ProgressTest, TheEndOfTheRunIsToldBrieflyInItsOwnUnit) {
  const std::pair<std::int64_t, std::string> wanted[] = {
      {0, "epoch 1/2  50 %  100 images/s  run ETA 0:05"},  // it is that of the epoch too
      {11500, "1/2 50% 100/s epoch ETA 5s run ETA 2m"},
      {3600 * 100, "1/2 50% 100/s epoch ETA 5s run ETA 1h00"},
      {3600 * 2600, "1/2 50% 100/s epoch ETA 5s run ETA 1d2h"}};
  for (const auto& [later, line] : wanted) {
    Pipe out;
    Terminal terminal(50);
    Log log(out.writer, terminal.writer);
    Progress progress(log, {60}, room_, clock());
    progress.begin("epoch 1/2", 1000, 0, later);
    now_ += 5;
    progress.advance(500);
    progress.show({{std::string(50, 'x'), "", 0}});
    EXPECT_EQ(terminal.read_all(), "\r" + line + "\033[K");
  }
}

/// A line without its numbers and the units of times; of a bar its length.
std::string form_of(const std::string& line) {
  static const std::regex kNumber("[0-9]+[smhd]?"), kFull("#");
  return std::regex_replace(std::regex_replace(line, kNumber, ""), kFull, ".");
}

TEST_F(ProgressTest, TheLinesOfARunHaveTheSameFieldsWhateverTheirNumbers) {
  constexpr int kEpochs = 10;
  for (const int width : {45, 60, 64, 72, 80, 84, 92, 100, 110, 120}) {
    Pipe out;
    Terminal terminal(static_cast<unsigned short>(width));
    Log log(out.writer, terminal.writer);
    KeptRoom room;
    std::set<std::string> forms, last;  // the last epoch's end is the run's
    for (const int epoch : {1, 9, kEpochs}) {
      Progress progress(log, {60}, room, clock());
      progress.begin(concat("epoch ", epoch, "/", kEpochs), 1000, 0, (kEpochs - epoch) * 1000);
      for (int step = 1; step <= 10; ++step) {
        now_ += 1;
        progress.advance(100);
        progress.show({{"loss 1.2345", "loss 1.23", 85},
                       {concat("accuracy ", 9 * step, ".50 %"), concat("acc ", 9 * step, "%"), 80, 16, 7},
                       {concat("lr ", step > 5 ? "0.0100" : "0.100"), "", 30, 11}});
      }
      progress.end();
      std::istringstream drawn(terminal.read_all());
      for (std::string line; std::getline(drawn, line, '\r');)
        if (line.size() > 3) (epoch < kEpochs ? forms : last).insert(form_of(line));
    }
    EXPECT_EQ(forms.size(), 1U) << width << ":\n" << testing::PrintToString(forms);
    EXPECT_EQ(last.size(), 1U) << width << ":\n" << testing::PrintToString(last);
    for (const char* field : {"lr", "acc", "/s", "["})
      EXPECT_EQ(forms.begin()->find(field) == std::string::npos, last.begin()->find(field) == std::string::npos)
          << width << " " << field;
  }
}

TEST_F(ProgressTest, ABarOnATerminalIsRedrawnInPlaceAndRemoved) {
  Pipe out;
  Terminal terminal(100);
  Log log(out.writer, terminal.writer);
  {
    Progress progress(log, {60}, room_, clock());
    progress.begin("epoch 1/2", 1000, 0, 1000);
    EXPECT_FALSE(progress.due());
    now_ += 0.05;
    EXPECT_FALSE(progress.due());
    now_ += 0.95;
    progress.advance(250);
    ASSERT_TRUE(progress.due());
    progress.show({{"loss 2.5", "", 85}});
    EXPECT_EQ(
        terminal.read_all(),
        "\repoch 1/2  [#####..................]  25 %  loss 2.5  250 images/s  epoch ETA 0:03  run ETA 0:07\033[K");
    progress.advance(750);
    now_ += 1;
    progress.show({{"loss 2.0", "", 85}});
    EXPECT_EQ(
        terminal.read_all(),
        "\repoch 1/2  [#######################]  100 %  loss 2.0  500 images/s  epoch ETA 0:00  run ETA 0:02\033[K");
  }
  EXPECT_EQ(terminal.read_all(), "\r\033[K");
  EXPECT_EQ(out.read_all(), "");
}

TEST_F(LogTest, ATerminalWithoutColumnsPassesEverythingOn) {
  Terminal launcher(0);
  Log log(launcher.writer, launcher.writer);
  std::string words;
  for (int i = 0; i < 50; ++i) words += "word ";
  log.set_status("1/2");
  log.info(words + "end");
  EXPECT_EQ(launcher.read_all(), words + "end\r\n");
}

TEST_F(ProgressTest, ANarrowTerminalLosesTheBarFirstAndNeverWraps) {
  Pipe out;
  Terminal terminal(40);
  Log log(out.writer, terminal.writer);
  Progress progress(log, {60}, room_, clock());
  progress.begin("epoch 1/2", 1000);
  now_ += 1;
  progress.advance(250);
  progress.show({{"loss 2.5", "", 85}});
  EXPECT_EQ(terminal.read_all(), "\r1/2 25% loss 2.5 250/s ETA 3s\033[K");
}

TEST_F(ProgressTest, APathInALabelTakesItsOwnRoom) {
  Pipe out;
  Terminal terminal(100);
  Log log(out.writer, terminal.writer);
  Progress progress(log, {0}, room_, clock());
  progress.begin("evaluating 7/a/weights.h5, 2 of 4", 1000);
  now_ += 1;
  progress.advance(250);
  progress.show({});
  EXPECT_EQ(terminal.read_all(),
            "\revaluating 7/a/weights.h5, 2 of 4  [#######......................]  25 %  250 images/s  ETA 0:03\033[K");
}

TEST_F(ProgressTest, TheSpeedOnATerminalIsThatOfTheLastTenSeconds) {
  Pipe out;
  Terminal terminal(80);
  Log log(out.writer, terminal.writer);
  Progress progress(log, {60}, room_, clock());
  progress.begin("epoch 1/2", 1000000);
  for (int i = 0; i < 60; ++i) {
    now_ += 1;
    progress.advance(i < 40 ? 10 : 1000);
    progress.show({});
  }
  EXPECT_DOUBLE_EQ(progress.images_per_second(), 1000);
}

TEST_F(ProgressTest, Keys) {
  Config config = Config::parse("[log]\ninterval = -1\n", "a.ini");
  EXPECT_EQ(config.read<LogOptions>("log").interval, 60);
  EXPECT_EQ(config.diagnostics().errors(),
            std::vector<std::string>{"a.ini:2: [log] interval: expected a number of at least 0, got '-1'"});
}

}  // namespace
}  // namespace sluice
