// Stop signals: a flag for the first, the exit code for the second, former handlers restored.
#include "core/base/signals.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "core/base/error.hpp"

namespace sluice {
namespace {

// Runs `body` in a child and returns its wait status.
template <class Body>
int status_of_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

void pause_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

TEST(Signals, EachStopSignalIsRemembered) {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU}) {
    StopSignals signals;
    EXPECT_EQ(stop_requested(), 0);
    errno = EBADF;
    raise(signal);
    EXPECT_EQ(errno, EBADF) << "the handler changed errno";
    EXPECT_EQ(stop_requested(), signal);
  }
}

TEST(Signals, NoneIsLeftBehind) {
  {
    const StopSignals signals;
    raise(SIGUSR1);
  }
  EXPECT_EQ(stop_requested(), 0);
}

TEST(Signals, TheFirstSignalIsTheOneReported) {
  StopSignals signals;
  raise(SIGUSR2);
  raise(SIGUSR1);
  raise(SIGUSR1);
  EXPECT_EQ(stop_requested(), SIGUSR2);
}

TEST(Signals, TheSecondInterruptQuitsWithItsCode) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer delays signals";
#endif
  for (int signal : {SIGINT, SIGTERM}) {
    const int status = status_of_child([signal] {
      StopSignals signals;
      raise(SIGUSR1);  // a warning that comes first does not count
      raise(SIGTERM);
      pause_ms(60);
      raise(signal);
    });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
  }
}

TEST(Signals, TheSameRequestDeliveredTwiceIsOne) {
  const int status = status_of_child([] {
    StopSignals signals;
    raise(SIGTERM);
    raise(SIGTERM);
    if (stop_requested() == SIGTERM) _exit(7);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(Signals, FormerHandlersComeBack) {
  struct sigaction before {
  }, during{}, after{};
  for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU, SIGPIPE, SIGXFSZ}) {
    sigaction(signal, nullptr, &before);
    {
      StopSignals signals;
      sigaction(signal, nullptr, &during);
    }
    sigaction(signal, nullptr, &after);
    EXPECT_NE(during.sa_handler, before.sa_handler) << signal_name(signal);
    EXPECT_EQ(after.sa_handler, before.sa_handler) << signal_name(signal);
  }
}

TEST(Signals, OnlyTheListedSignalsAreTaken) {
  struct sigaction action {};
  StopSignals signals({SIGTERM});
  sigaction(SIGUSR2, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
  raise(SIGTERM);
  EXPECT_EQ(stop_requested(), SIGTERM);
}

TEST(Signals, AHangUpThatIsIgnoredStaysIgnored) {
  const int status = status_of_child([] {
    ::signal(SIGHUP, SIG_IGN);
    StopSignals signals;
    raise(SIGHUP);
    _exit(stop_requested());
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Signals, LongWorkBeforeTheFirstStepEndsWithAnError) {
  StopSignals signals;
  EXPECT_NO_THROW(throw_if_stopped());
  raise(SIGXCPU);
  try {
    throw_if_stopped();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kStopped);
    EXPECT_STREQ(error.what(),
                 "stopped before the first step: received SIGXCPU; nothing is lost, start again with the same command");
  }
}

TEST(Signals, WhereNothingIsMadeYetTheProcessEndsAtOnce) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer delays signals";
#endif
  const int status = status_of_child([] {
    StopSignals signals;
    StopSignals::end_at_once(true);
    if (freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
    raise(SIGUSR1);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 75);
  StopSignals signals;
  raise(SIGUSR1);  // another one only records
  EXPECT_EQ(stop_requested(), SIGUSR1);
}

TEST(Signals, WhatOnlyPrintsEndsWithItsReader) {
  const int status = status_of_child([] {
    StopSignals signals;
    StopSignals::end_at_once(true);
    raise(SIGPIPE);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGPIPE);
}

TEST(Signals, AClosedPipeAndAFileLimitAreErrorsOfTheWrite) {
  const int status = status_of_child([] {
    StopSignals signals;
    int ends[2];
    if (pipe(ends) != 0) _exit(1);
    close(ends[0]);
    if (write(ends[1], "x", 1) != -1 || errno != EPIPE) _exit(2);
    const rlimit limit{0, 0};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(3);
    char name[] = "/tmp/sluice_signalsXXXXXX";
    const int file = mkstemp(name);
    unlink(name);
    if (write(file, "x", 1) != -1 || errno != EFBIG) _exit(4);
    _exit(0);
  });
  ASSERT_TRUE(WIFEXITED(status)) << "ended by " << signal_name(WTERMSIG(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Signals, NamesAndNumbers) {
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_EQ(signal_name(99), "signal 99");
  for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU, SIGQUIT}) {
    EXPECT_EQ(signal_number(signal_name(signal)), signal);
    EXPECT_EQ(signal_number(signal_name(signal).substr(3)), signal);
  }
  EXPECT_EQ(signal_number("KILL"), 0);
}

}  // namespace
}  // namespace sluice
