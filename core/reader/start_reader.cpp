#include "core/reader/start_reader.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/reader/service.hpp"

namespace sluice {
namespace {

/// File actions and attributes of posix_spawn.
class Spawn {
 public:
  Spawn() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // Signals that go to a whole group of processes are for the run, which then ends its reader.
    sigset_t blocked, defaults;
    sigemptyset(&blocked);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGPIPE}) sigaddset(&blocked, signal);
    sigfillset(&defaults);
    posix_spawnattr_setsigmask(&attributes_, &blocked);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&actions_, standard, "/dev/null", O_RDWR, 0);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  void leave_out(int descriptor) { posix_spawn_file_actions_addclose(&actions_, descriptor); }
  void hand_over(int descriptor, int as) { posix_spawn_file_actions_adddup2(&actions_, descriptor, as); }
  pid_t start(const std::string& program) {
    std::string name = program;
    char* arguments[] = {name.data(), nullptr};
    pid_t process = -1;
    const int problem = posix_spawn(&process, program.c_str(), &actions_, &attributes_, arguments, environ);
    if (problem == 0) return process;
    throw Error(
        ExitCode::kEnvironment,
        concat(program, ": cannot start the reader of HDF5 files: ", std::strerror(problem),
               problem == EAGAIN || problem == ENOMEM ? "; free some memory or processes" : "; install Sluice whole"));
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

/// Above all descriptors that the reader gets, so that handing one over replaces no other.
int raised(int descriptor) {
  const int kAbove = 16;
  const int moved = ::fcntl(descriptor, F_DUPFD_CLOEXEC, kAbove);
  const int problem = errno;
  ::close(descriptor);
  if (moved < 0) throw_system_error("a reader", "connect", problem);
  return moved;
}

std::pair<int, int> connected() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_system_error("a reader", "connect", errno);
  return {ends[0], ends[1]};
}

}  // namespace

StartedReader start_reader(const std::string& program, int shared_memory) {
  const auto [ours, theirs] = connected();
  int socket = -1, shared = -1;
  const auto close_all = [&] {
    for (const int descriptor : {socket, shared}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  };
  try {
    Spawn spawn;
    socket = raised(theirs);
    spawn.hand_over(socket, kReaderSocket);
    spawn.leave_out(kReaderMemory);
    if (shared_memory >= 0) spawn.hand_over(shared = raised(::dup(shared_memory)), kReaderMemory);
    const pid_t process = spawn.start(program);
    close_all();
    return {ours, process};
  } catch (...) {
    close_all();
    ::close(ours);
    throw;
  }
}

}  // namespace sluice
