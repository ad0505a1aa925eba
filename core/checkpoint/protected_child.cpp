// fork, resource limits, two pipes and a deadline.
#include "core/checkpoint/protected_child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <new>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe", "make", errno);
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_end(read_end);
    close_end(write_end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

void limit(decltype(RLIMIT_CPU) resource, std::int64_t value) {
  rlimit now{};
  ::getrlimit(resource, &now);
  now.rlim_cur = std::min(static_cast<rlim_t>(value), now.rlim_max);
  ::setrlimit(resource, &now);
}

void apply(const ChildLimits& limits) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<std::int64_t>(std::ceil(limits.seconds)) + 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // sanitizers map terabytes of shadow
  limit(RLIMIT_AS, limits.memory_bytes);
#endif
}

void write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) ::_exit(static_cast<int>(ExitCode::kInternal));
    if (n > 0) done += static_cast<std::size_t>(n);
  }
}

int guarded(const std::function<int(std::ostream&, std::ostream&)>& work, std::ostream& out, std::ostream& err) {
  try {
    return work(out, err);
  } catch (const Error& error) {
    err << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    err << "more memory was asked for than is allowed for a file without a seal\n";
    return static_cast<int>(ExitCode::kCheckpoint);
  } catch (const std::exception& error) {
    err << error.what() << "\n";
    return static_cast<int>(ExitCode::kInternal);
  }
}

[[noreturn]] void be_the_child(const std::function<int(std::ostream&, std::ostream&)>& work, const ChildLimits& limits,
                               const Pipe& out_pipe, const Pipe& err_pipe) {
  apply(limits);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL}) ::signal(signal, SIG_DFL);
  std::ostringstream out, err;
  const int code = guarded(work, out, err);
  write_all(err_pipe.write_end, err.str());
  write_all(out_pipe.write_end, out.str());
  ::_exit(code);
}

/// Reads both pipes until the child closes them. True when that happened in time and within the output limit.
ChildResult::End collect(const Pipe& out_pipe, const Pipe& err_pipe, const ChildLimits& limits, ChildResult& result) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(limits.seconds);
  pollfd ends[2] = {{out_pipe.read_end, POLLIN, 0}, {err_pipe.read_end, POLLIN, 0}};
  std::string* texts[2] = {&result.out, &result.err};
  std::string buffer(1 << 16, '\0');
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const double left_ms = std::chrono::duration<double, std::milli>(deadline - Clock::now()).count();
    if (left_ms <= 0) return ChildResult::End::kTimedOut;
    ::poll(ends, 2, static_cast<int>(std::min(left_ms + 1, 1e6)));
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      const ssize_t n = ::read(ends[i].fd, buffer.data(), buffer.size());
      if (n == 0) ends[i].fd = -1;
      if (n > 0) texts[i]->append(buffer, 0, static_cast<std::size_t>(n));
    }
    if (static_cast<std::int64_t>(result.out.size() + result.err.size()) > limits.output_bytes)
      return ChildResult::End::kTooMuchOutput;
  }
  return ChildResult::End::kReturned;
}

}  // namespace

ChildResult run_in_child(const std::function<int(std::ostream& out, std::ostream& err)>& work,
                         const ChildLimits& limits) {
  Pipe out_pipe, err_pipe;
  const pid_t child = ::fork();
  if (child < 0) throw_system_error("a child process", "start", errno);
  if (child == 0) be_the_child(work, limits, out_pipe, err_pipe);
  Pipe::close_end(out_pipe.write_end);
  Pipe::close_end(err_pipe.write_end);
  ChildResult result;
  result.end = collect(out_pipe, err_pipe, limits, result);
  if (result.end != ChildResult::End::kReturned) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (result.end == ChildResult::End::kTimedOut) {
    result.describe = concat("took longer than ", limits.seconds, " s");
  } else if (result.end == ChildResult::End::kTooMuchOutput) {
    result.describe = concat("printed more than ", limits.output_bytes >> 20, " MiB");
  } else if (WIFSIGNALED(status)) {
    result.end = WTERMSIG(status) == SIGXCPU ? ChildResult::End::kTimedOut : ChildResult::End::kCrashed;
    result.describe = concat("crashed (signal ", WTERMSIG(status), ", ", ::strsignal(WTERMSIG(status)), ")");
  }
  if (result.end == ChildResult::End::kReturned) {
    result.code = WEXITSTATUS(status);
  } else {
    result.out.clear();
    result.err.clear();
  }
  return result;
}

}  // namespace sluice
