// Flags set by signal handlers; everything a handler calls is async-signal-safe.
#include "core/base/signals.hpp"

#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/base/error.hpp"

namespace sluice {
namespace {

// A signal handler has nothing but globals to talk through: these are the only ones of Sluice.
std::atomic<int> g_first_signal{0};
std::atomic<int> g_interrupts{0};
std::atomic<std::int64_t> g_interrupted_ns{0};
std::atomic<bool> g_end_at_once{false};
struct sigaction g_pipe_before {};  // of SIGPIPE
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

constexpr std::int64_t kSameRequestNs = 50'000'000;
constexpr std::array<std::pair<int, const char*>, 7> kNames = {{{SIGINT, "INT"},
                                                                {SIGTERM, "TERM"},
                                                                {SIGUSR1, "USR1"},
                                                                {SIGUSR2, "USR2"},
                                                                {SIGHUP, "HUP"},
                                                                {SIGXCPU, "XCPU"},
                                                                {SIGQUIT, "QUIT"}}};

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

constexpr const char* kStopped = "stopped before the first step: received ";
constexpr const char* kAdvice = "; nothing is lost, start again with the same command";

const char* short_name(int signal) {
  for (const auto& [number, name] : kNames)
    if (number == signal) return name;
  return nullptr;
}

[[noreturn]] void end_process(int signal) {
  const char* name = short_name(signal);
  const char* const program = program_invocation_short_name;
  for (const char* text : {program, ": ", kStopped, "SIG", name != nullptr ? name : "NAL", kAdvice, "\n"})
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  ::_exit(static_cast<int>(ExitCode::kStopped));
}

void on_stop_signal(int signal) {
  if (g_end_at_once) end_process(signal);
  const int saved_errno = errno;
  int none = 0;
  g_first_signal.compare_exchange_strong(none, signal);
  if (signal == SIGINT || signal == SIGTERM) {
    if (g_interrupts.fetch_add(1) == 0) {
      g_interrupted_ns = now_ns();
    } else if (now_ns() - g_interrupted_ns > kSameRequestNs) {
      _exit(128 + signal);
    }
  }
  errno = saved_errno;
}

bool is_ignored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

StopSignals::StopSignals(std::initializer_list<int> signals) {
  g_first_signal = 0;
  g_interrupts = 0;
  g_end_at_once = false;
  for (int signal : signals)
    if (signal != SIGHUP || !is_ignored(signal)) install(signal, on_stop_signal);
  install(SIGPIPE, SIG_IGN);
  g_pipe_before = saved_[count_ - 1].action;
  install(SIGXFSZ, SIG_IGN);
}

StopSignals::~StopSignals() {
  while (count_ > 0) {
    const Saved& saved = saved_[--count_];
    sigaction(saved.signal, &saved.action, nullptr);
  }
  g_first_signal = 0;
}

void StopSignals::install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // library calls that know nothing of signals must not fail half-way
  sigemptyset(&action.sa_mask);
  Saved saved{signal, {}};
  if (count_ == saved_.size() || sigaction(signal, &action, &saved.action) != 0)
    throw Error(ExitCode::kInternal, concat("cannot handle ", signal_name(signal)));
  saved_[count_++] = saved;
}

void StopSignals::end_at_once(bool yes) {
  g_end_at_once = yes;
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, yes ? &g_pipe_before : &ignored, nullptr);
}

int stop_requested() {
  return g_first_signal;
}

void throw_if_stopped() {
  const int signal = stop_requested();
  if (signal == 0) return;
  throw Error(ExitCode::kStopped, concat(kStopped, signal_name(signal), kAdvice));
}

std::string signal_name(int signal) {
  const char* name = short_name(signal);
  return name != nullptr ? concat("SIG", name) : concat("signal ", signal);
}

int signal_number(const std::string& name) {
  for (const auto& [number, short_name] : kNames)
    if (name == short_name || name == concat("SIG", short_name)) return number;
  return 0;
}

}  // namespace sluice
