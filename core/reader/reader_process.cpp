// Asking readers, and saying how they ended.
#include "core/reader/reader_process.hpp"

#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/atomic_file.hpp"
#include "core/reader/start_reader.hpp"

namespace sluice {
namespace {

/// How a process ended that should not have.
std::string ending(pid_t process, double seconds) {
  int status = 0;
  pid_t found = -1;
  do {
    found = ::waitpid(process, &status, 0);
  } while (found < 0 && errno == EINTR);
  if (found != process) return "ended early";  // whoever made this process waits for all of its children
  if (WIFEXITED(status)) return concat("ended early (exit code ", WEXITSTATUS(status), ")");
  if (WTERMSIG(status) == SIGPROF) return concat("took longer than ", seconds, " s");
  if (WTERMSIG(status) == SIGKILL) return "was killed (signal 9)";
  return concat("crashed (signal ", WTERMSIG(status), ", ", ::strsignal(WTERMSIG(status)), ")");
}

}  // namespace

ReaderProcess::ReaderProcess(const std::string& service, const ReaderLimits& limits, int shared_memory,
                             const std::string& program)
    : ReaderProcess(start_reader(program, shared_memory), service, limits) {}

ReaderProcess::ReaderProcess(StartedReader started, const std::string& service, const ReaderLimits& limits)
    : Channel(started.socket), limits_(limits), seconds_(limits.seconds), process_(started.process) {
  FieldWriter<Channel> fields(*this);  // goes with the first request
  fields.add(service);
  fields.add(limits.seconds);
  fields.add(limits.memory_bytes);
}

ReaderProcess::~ReaderProcess() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ReaderProcess::wait() {
  limit(seconds_, limits_.answer_bytes);
  if (!ready_ && Channel::get<std::int64_t>() != kReady) reject();
  ready_ = true;
  const auto code = Channel::get<std::int64_t>();
  if (code == 0) return;
  if (code == kOutOfMemory) {
    throw ReaderFailed(concat("asks for more memory than the ", limits_.memory_bytes >> 20, " MiB that it may take"),
                       false);
  }
  throw Error(static_cast<ExitCode>(code), Channel::get<std::string>());
}

void ReaderProcess::fail(End end) {
  if (process_ >= 0) {
    if (end != End::kClosed) ::kill(process_, SIGKILL);
    failure_ = ending(std::exchange(process_, -1), limits_.seconds);
    if (end == End::kTimedOut) failure_ = concat("took longer than ", limits_.seconds, " s");
    if (end == End::kTooMuch) failure_ = concat("gave more than ", limits_.answer_bytes >> 20, " MiB");
    if (end == End::kMalformed) failure_ = "gave an answer that makes no sense";
  }
  const auto begins = [this](const char* text) { return failure_.rfind(text, 0) == 0; };
  // A reader that is killed from outside, or ended by a library that wants memory, says nothing about the file.
  if (!ready_ || begins("ended") || begins("was killed")) {
    throw Error(ExitCode::kEnvironment,
                concat("the reader of HDF5 files ", failure_, "; free some memory, or install Sluice whole"));
  }
  throw ReaderFailed(failure_, begins("crashed"));
}

std::string ReaderProcess::installed_program() {
  Dl_info library{};
  ::dladdr(reinterpret_cast<const void*>(&limits_for), &library);
  return directory_of(library.dli_fname == nullptr ? "" : library.dli_fname) + "/" + SLUICE_READER_FROM_LIBRARY;
}

ReaderLimits limits_for(const std::string& file) {
  struct stat status {};
  const std::int64_t kBlock = 512;
  const std::int64_t bytes = ::stat(file.c_str(), &status) == 0 ? status.st_blocks * kBlock : 0;
  const double kSlowest = 5e6;  // bytes read in a second
  ReaderLimits limits;
  limits.seconds += static_cast<double>(bytes) / kSlowest;
  limits.memory_bytes += 4 * bytes;
  return limits;
}

}  // namespace sluice
