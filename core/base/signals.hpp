// Signals that ask a long run to stop at the next step boundary. The handlers only set flags.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

namespace sluice {

/// While it lives, each of the stop signals only records that it came; the run looks at stop_requested() between steps.
/// A second SIGINT or SIGTERM ends the process at once with exit code 128 + its number; one that comes within 50 ms of
/// the first is the same request delivered twice (launchers forward what the batch system has already sent) and is
/// ignored. SIGPIPE is ignored, so that a run outlives the reader of its output, and SIGXFSZ, so that a file size limit
/// is an error of the write (EFBIG) and not the end of the process. The destructor restores the former handlers. At
/// most one lives at a time, made by the main thread.
class StopSignals {
 public:
  explicit StopSignals(const std::vector<int>& signals = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2});
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  struct Saved {
    int signal;
    struct sigaction action;
  };
  void install(int signal, void (*handler)(int));
  std::vector<Saved> saved_;
};

/// The first stop signal that came since StopSignals was made; 0 for none. May be called from any thread.
int stop_requested();

/// "SIGTERM"; "signal 99" for one that has no name here.
std::string signal_name(int signal);
/// The number of "SIGTERM" or "TERM"; 0 for an unknown name.
int signal_number(const std::string& name);

}  // namespace sluice
