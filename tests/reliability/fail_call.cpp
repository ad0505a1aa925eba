// Runs a program and makes one of its system calls on files and memory fail, whoever makes it: the program, a library,
// a thread or a child process. The kernel hands each such call to this program first (seccomp's user notifications).
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr const char* kUsage =
    "usage: fail_call [--at=N] [--variant=K] [--kill] [--report=FILE] PROGRAM [ARGUMENT...]\n"
    "Runs the program and counts its system calls on files and memory, from the first that is not of the loader.\n"
    "  --at=N         the N-th fails; without it all succeed\n"
    "  --variant=K    with the K-th of the errors that fit the call, counted round\n"
    "  --kill         instead the N-th ends everything with SIGKILL, before it happens\n"
    "  --report=FILE  gets the number of calls and what failed\n"
    "Exit code: the program's, 128 + n after signal n; 77: this kernel does not allow it.\n";

constexpr int kSkipped = 77;
constexpr int kShort = -1;  // in the place of an error: half of the bytes are written

enum class Names { kNothing, kPath, kPathAt, kDescriptor };  // what the call's arguments name

struct Call {
  int number;
  const char* name;
  Names names;
  std::vector<int> errors;
};

const std::vector<Call>& calls() {
  using N = Names;
  static const std::vector<Call> all = {
#ifdef __NR_open
      {__NR_open, "open", N::kPath, {EMFILE, EIO, ENOSPC, EACCES, EINTR}},
      {__NR_rename, "rename", N::kPath, {EIO, ENOSPC}},
      {__NR_unlink, "unlink", N::kPath, {EIO, EACCES}},
      {__NR_rmdir, "rmdir", N::kPath, {EIO, EACCES}},
      {__NR_mkdir, "mkdir", N::kPath, {ENOSPC, EIO}},
      {__NR_link, "link", N::kPath, {EIO, ENOSPC}},
      {__NR_symlink, "symlink", N::kPath, {EIO, ENOSPC}},
      {__NR_access, "access", N::kPath, {EIO, EACCES}},
      {__NR_readlink, "readlink", N::kPath, {EIO}},
      {__NR_stat, "stat", N::kPath, {EIO, EACCES}},
      {__NR_lstat, "lstat", N::kPath, {EIO, EACCES}},
      {__NR_pipe, "pipe", N::kNothing, {EMFILE}},
      {__NR_dup2, "dup2", N::kDescriptor, {EMFILE, EINTR}},
#endif
      {__NR_openat, "openat", N::kPathAt, {EMFILE, EIO, ENOSPC, EACCES, EINTR}},
      {__NR_renameat, "renameat", N::kPathAt, {EIO, ENOSPC}},
      {__NR_renameat2, "renameat2", N::kPathAt, {EIO, ENOSPC}},
      {__NR_unlinkat, "unlinkat", N::kPathAt, {EIO, EACCES}},
      {__NR_mkdirat, "mkdirat", N::kPathAt, {ENOSPC, EIO}},
      {__NR_linkat, "linkat", N::kPathAt, {EIO, ENOSPC}},
      {__NR_faccessat, "faccessat", N::kPathAt, {EIO, EACCES}},
      {__NR_readlinkat, "readlinkat", N::kPathAt, {EIO}},
      {__NR_newfstatat, "newfstatat", N::kPathAt, {EIO, EACCES}},
      {__NR_statx, "statx", N::kPathAt, {EIO, EACCES}},
      {__NR_truncate, "truncate", N::kPath, {EIO, ENOSPC}},
      {__NR_statfs, "statfs", N::kPath, {EIO}},
      {__NR_read, "read", N::kDescriptor, {EIO, EINTR}},
      {__NR_pread64, "pread64", N::kDescriptor, {EIO, EINTR}},
      {__NR_readv, "readv", N::kDescriptor, {EIO, EINTR}},
      {__NR_write, "write", N::kDescriptor, {ENOSPC, kShort, EIO, EINTR}},
      {__NR_pwrite64, "pwrite64", N::kDescriptor, {ENOSPC, kShort, EIO, EINTR}},
      {__NR_writev, "writev", N::kDescriptor, {ENOSPC, EIO, EINTR}},
      {__NR_fsync, "fsync", N::kDescriptor, {EIO, ENOSPC}},
      {__NR_fdatasync, "fdatasync", N::kDescriptor, {EIO, ENOSPC}},
      {__NR_close, "close", N::kDescriptor, {EIO, EINTR}},
      {__NR_fstat, "fstat", N::kDescriptor, {EIO}},
      {__NR_fstatfs, "fstatfs", N::kDescriptor, {EIO}},
      {__NR_lseek, "lseek", N::kDescriptor, {EIO}},
      {__NR_ftruncate, "ftruncate", N::kDescriptor, {EIO, ENOSPC}},
      {__NR_fallocate, "fallocate", N::kDescriptor, {ENOSPC, EIO}},
      {__NR_getdents64, "getdents64", N::kDescriptor, {EIO}},
      {__NR_flock, "flock", N::kDescriptor, {ENOLCK, EINTR}},
      {__NR_fcntl, "fcntl", N::kDescriptor, {EIO, EMFILE}},
      {__NR_dup, "dup", N::kDescriptor, {EMFILE}},
      {__NR_dup3, "dup3", N::kDescriptor, {EMFILE, EINTR}},
      {__NR_pipe2, "pipe2", N::kNothing, {EMFILE}},
      {__NR_memfd_create, "memfd_create", N::kNothing, {EMFILE, ENOMEM}},
      {__NR_sendfile, "sendfile", N::kDescriptor, {EIO, ENOSPC}},
      {__NR_copy_file_range, "copy_file_range", N::kDescriptor, {EIO, ENOSPC}},
      {__NR_mmap, "mmap", N::kNothing, {ENOMEM}},
      {__NR_mremap, "mremap", N::kNothing, {ENOMEM}},
      {__NR_mprotect, "mprotect", N::kNothing, {ENOMEM}},
      {__NR_brk, "brk", N::kNothing, {ENOMEM}},
  };
  return all;
}

const Call* find(int number) {
  for (const Call& call : calls()) {
    if (call.number == number) return &call;
  }
  return nullptr;
}

struct Options {
  long at = 0, variant = 0;
  bool kill = false;
  std::string report;
  char** command = nullptr;
};

[[noreturn]] void skip(const char* what) {
  std::fprintf(stderr, "fail_call: %s: %s\n", what, std::strerror(errno));
  std::exit(kSkipped);
}

int install_filter() {
  std::vector<sock_filter> code = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const Call& call : calls()) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call.number), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return static_cast<int>(::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

/// In the child: waits until the parent has the listener, then becomes the program.
[[noreturn]] void become(char** command) {
  if (install_filter() < 0) ::_exit(kSkipped);
  ::raise(SIGSTOP);
  ::execvp(command[0], command);
  ::_exit(127);
}

/// Whether an address lies in the dynamic loader of the process, which has no error handling of ours.
bool in_loader(pid_t process, std::uint64_t address) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2 && begin <= address && address < end)
      return line.find("/ld-") != std::string::npos || line.find("/ld.") != std::string::npos;
  }
  return false;
}

std::size_t copy_from(pid_t process, std::uint64_t address, void* to, std::size_t bytes) {
  const iovec here{to, bytes}, there{reinterpret_cast<void*>(address), bytes};
  const ssize_t count = ::process_vm_readv(process, &here, 1, &there, 1, 0);
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

std::string path_at(pid_t process, std::uint64_t address) {
  char text[4097] = {};
  // Not beyond the page: the next one may not be there.
  std::size_t count = copy_from(process, address, text, 4096 - address % 4096);
  if (std::memchr(text, 0, count) == nullptr) copy_from(process, address + count, text + count, 4096 - count);
  return text;
}

std::string named(const seccomp_notif& notice, const Call& call) {
  const pid_t process = static_cast<pid_t>(notice.pid);
  switch (call.names) {
    case Names::kPath:
      return path_at(process, notice.data.args[0]);
    case Names::kPathAt:
      return path_at(process, notice.data.args[1]);
    case Names::kDescriptor: {
      char target[4096] = {};
      const int number = static_cast<int>(notice.data.args[0]);
      const std::string link = "/proc/" + std::to_string(process) + "/fd/" + std::to_string(number);
      if (::readlink(link.c_str(), target, sizeof target - 1) < 0) return std::to_string(number);
      return std::to_string(number) + " " + target;
    }
    default:
      return "";
  }
}

/// Does half of a write in the name of the process: 0 where that is not possible.
ssize_t write_half(const seccomp_notif& notice) {
  const auto& arguments = notice.data.args;
  const int process = static_cast<int>(::syscall(__NR_pidfd_open, notice.pid, 0));
  const int file = static_cast<int>(::syscall(__NR_pidfd_getfd, process, arguments[0], 0));
  std::vector<char> bytes(arguments[2] / 2);
  bytes.resize(copy_from(static_cast<pid_t>(notice.pid), arguments[1], bytes.data(), bytes.size()));
  ssize_t count = 0;
  if (file >= 0 && !bytes.empty()) {
    count = notice.data.nr == __NR_write ? ::write(file, bytes.data(), bytes.size())
                                         : ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(arguments[3]));
  }
  ::close(file);
  ::close(process);
  return count < 0 ? 0 : count;
}

/// Counts the calls of a program and makes one fail.
class Supervisor {
 public:
  Supervisor(const Options& options, int listener) : options_(options), listener_(listener) {}

  /// Answers one call.
  void serve() {
    seccomp_notif notice{};
    if (::ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return;  // who called is gone
    if (!started_) started_ = !in_loader(static_cast<pid_t>(notice.pid), notice.data.instruction_pointer);
    seccomp_notif_resp answer{};
    answer.id = notice.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (started_ && ++count_ == options_.at) fail(notice, answer);
    if (!killed_) ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }

  void report() const {
    if (options_.report.empty()) return;
    std::ofstream(options_.report) << "calls " << count_ << "\n" << failed_;
  }

  bool wants_kill() const { return killed_; }

 private:
  void fail(const seccomp_notif& notice, seccomp_notif_resp& answer) {
    const Call& call = *find(notice.data.nr);
    const int error = call.errors[static_cast<std::size_t>(options_.variant) % call.errors.size()];
    const std::string what = named(notice, call);
    // close closes even where it fails: a pipe that stays open here would never end for who reads it.
    const bool leave = call.number == __NR_close && what.find(" /") == std::string::npos;
    const ssize_t written = error == kShort && !options_.kill ? write_half(notice) : 0;
    killed_ = options_.kill;
    failed_ = std::string(call.name) + " ";
    if (killed_) {
      failed_ += "killed before it";
    } else if (error != kShort && !leave) {
      answer.flags = 0;
      if (notice.data.nr != __NR_brk) answer.error = -error;  // brk returns where the break is now
      failed_ += strerrorname_np(error);
    } else if (written > 0) {
      answer.flags = 0;
      answer.val = written;
      failed_ += "short";
    } else {
      failed_ += "done";
    }
    failed_ += " " + what + "\n";
    report();  // in case that it never ends
  }

  const Options& options_;
  int listener_;
  bool started_ = false, killed_ = false;
  long count_ = 0;
  std::string failed_;
};

int exit_code(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int run(const Options& options) {
  const int number = ::dup(STDIN_FILENO);  // what the child's listener will have: the lowest that is free
  ::close(number);
  const pid_t child = ::fork();
  if (child == 0) become(options.command);
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  if (!WIFSTOPPED(status)) skip("no system call filter");
  const int process = static_cast<int>(::syscall(__NR_pidfd_open, child, 0));
  const int listener = static_cast<int>(::syscall(__NR_pidfd_getfd, process, number, 0));
  if (listener < 0) {
    ::kill(child, SIGKILL);
    skip("no access to the child's descriptors");
  }
  ::kill(child, SIGCONT);
  Supervisor supervisor(options, listener);
  pollfd events[2] = {{listener, POLLIN, 0}, {process, POLLIN, 0}};
  while ((events[1].revents & POLLIN) == 0) {
    ::poll(events, 2, -1);
    if ((events[0].revents & POLLIN) != 0) supervisor.serve();
    if (supervisor.wants_kill()) break;
  }
  if (supervisor.wants_kill()) ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  supervisor.report();
  return exit_code(status);
}

Options read_options(int argc, char** argv) {
  Options options;
  int i = 1;
  for (; i < argc && std::strncmp(argv[i], "--", 2) == 0; ++i) {
    const std::string text = argv[i], name = text.substr(0, text.find('=')), value = text.substr(text.find('=') + 1);
    if (name == "--at") {
      options.at = std::stol(value);
    } else if (name == "--variant") {
      options.variant = std::stol(value);
    } else if (name == "--report") {
      options.report = value;
    } else if (text == "--kill") {
      options.kill = true;
    } else {
      std::fputs(kUsage, text == "--help" ? stdout : stderr);
      std::exit(text == "--help" ? 0 : 2);
    }
  }
  if (i == argc) {
    std::fputs(kUsage, stderr);
    std::exit(2);
  }
  options.command = argv + i;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  return run(read_options(argc, argv));
}
