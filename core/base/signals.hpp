// Signals that ask a long run to stop at the next step boundary. The handlers only set flags.
#pragma once

#include <signal.h>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>

namespace sluice {

/// While it lives, each of the stop signals only records that it came; the run looks at stop_requested() between steps.
/// A second SIGINT or SIGTERM ends the process at once with exit code 128 + its number; one that comes within 50 ms of
/// the first is the same request delivered twice (launchers forward what the batch system has already sent) and is
/// ignored. A SIGHUP that is ignored stays so: nohup asked for it. SIGPIPE is ignored, so that a run outlives the
/// reader of its output (but not what only prints: end_at_once), and SIGXFSZ, so that a file size limit is an error of
/// the write (EFBIG) and not the end of the process. The destructor restores the former handlers and forgets what came.
/// At most one lives at a time, made by the main thread; a program that stops on signals makes it first of all.
/// Allocates nothing.
class StopSignals {
 public:
  explicit StopSignals(std::initializer_list<int> signals = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU});
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// For the time in which nothing is made yet that would have to be put right: a stop signal ends the process at once
  /// with exit code 75 and a line, also where it waits for a file, and a SIGPIPE as in any other program. With `false`
  /// signals are recorded, as at first.
  static void end_at_once(bool yes);

 private:
  struct Saved {
    int signal;
    struct sigaction action;
  };
  void install(int signal, void (*handler)(int));
  std::array<Saved, 12> saved_{};
  std::size_t count_ = 0;
};

/// The first stop signal that came since StopSignals was made; 0 for none. May be called from any thread.
int stop_requested();
/// Throws Error(kStopped) where a stop signal came. For long work before the first step, which leaves nothing to save:
/// opening, decoding and measuring whole data sets. Steps look at stop_requested(), and save first.
void throw_if_stopped();

/// "SIGTERM"; "signal 99" for one that has no name here.
std::string signal_name(int signal);
/// The number of "SIGTERM" or "TERM"; 0 for an unknown name.
int signal_number(const std::string& name);

}  // namespace sluice
