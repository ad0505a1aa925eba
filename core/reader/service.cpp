// The loop of the reader, and its limits.
#include "core/reader/service.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <vector>

#include "core/base/error.hpp"

namespace sluice {
namespace {

class ServerChannel : public Channel {
 public:
  ServerChannel() : Channel(kReaderSocket) {}

 private:
  [[noreturn]] void fail(End) override { ::_exit(0); }
};

/// Nothing of the process that started this one can be reached from here.
void close_other_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return;
  std::vector<int> open;
  while (const dirent* entry = ::readdir(folder)) open.push_back(std::atoi(entry->d_name));
  ::closedir(folder);
  for (const int descriptor : open) {
    if (descriptor > kReaderMemory) ::close(descriptor);
  }
}

void limit(decltype(RLIMIT_CORE) resource, std::int64_t value) {
  rlimit now{};
  ::getrlimit(resource, &now);
  now.rlim_cur = std::min({static_cast<rlim_t>(value), now.rlim_cur, now.rlim_max});
  ::setrlimit(resource, &now);
}

void limit_memory(std::int64_t bytes) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // sanitizers map terabytes of shadow
  limit(RLIMIT_AS, bytes);
#else
  static_cast<void>(bytes);
#endif
}

/// Whether more than half of the memory that this process may take is taken. Allocates nothing.
bool near_memory_limit() {
  rlimit most{};
  ::getrlimit(RLIMIT_AS, &most);
  char text[64] = {};
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  const ssize_t count = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  const std::uint64_t pages = count > 0 ? std::strtoull(text, nullptr, 10) : 0;
  return most.rlim_cur != RLIM_INFINITY &&
         pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) > most.rlim_cur / 2;
}

/// What was found when memory ran out; by the time an exception is caught much of it is free again.
bool ran_into_limit = false;

void note_want_of_memory() {
  ran_into_limit = near_memory_limit();
  throw std::bad_alloc();
}

/// Ends this process when it has computed that long: also where nobody is left to end it.
void limit_time(double seconds) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(std::ceil(seconds));
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

void answer_one(ReaderService& service, Channel& channel) {
  ReaderService::Answer answer;
  try {
    answer = service.answer(channel);
  } catch (const Error& error) {
    channel.send(error.code(), std::string(error.what()));
    return;
  } catch (const std::bad_alloc&) {
    // Far from its limit it is the machine that has none.
    if (ran_into_limit)
      channel.send(kOutOfMemory);
    else
      channel.send(ExitCode::kEnvironment, std::string("out of memory, or the file claims to hold more than it does"));
    return;
  } catch (const std::length_error&) {  // of a container: the same, more plainly
    channel.send(kOutOfMemory);
    return;
  } catch (const std::exception& error) {
    channel.send(ExitCode::kInternal, std::string(error.what()));
    return;
  }
  channel.send(std::int64_t{0});
  answer(channel);
  channel.flush();
}

}  // namespace

int serve_reader(const ReaderServices& services) try {
  close_other_descriptors();
  limit(RLIMIT_CORE, 0);
  std::set_new_handler(note_want_of_memory);
  // Where parts of a data set lie is decided in one place (core/checkpoint/hdf5_other_files.cpp).
  for (const char* name : {"HDF5_VDS_PREFIX", "HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX"}) ::unsetenv(name);
  ServerChannel channel;
  answer_requests(channel, services, kReaderMemory, {limit_memory, limit_time});
  return static_cast<int>(ExitCode::kUsage);
} catch (const std::exception&) {  // no memory even to begin
  return static_cast<int>(ExitCode::kEnvironment);
}

void answer_requests(Channel& channel, const ReaderServices& services, int shared_memory,
                     const ReaderLimiter& limiter) {
  const auto found = services.find(channel.get<std::string>());
  const auto seconds = channel.get<double>();
  limiter.begin(channel.get<std::int64_t>());
  if (found == services.end()) return;
  const std::unique_ptr<ReaderService> service = found->second(shared_memory);
  channel.send(kReady);
  while (channel.get<std::int64_t>() == kRequest) {
    limiter.work(seconds);
    answer_one(*service, channel);
    limiter.work(0);
  }
}

void extend_memory_limit(std::int64_t bytes) {
  rlimit now{};
  ::getrlimit(RLIMIT_AS, &now);
  if (now.rlim_cur == RLIM_INFINITY) return;
  now.rlim_cur = std::min(now.rlim_cur + static_cast<rlim_t>(bytes), now.rlim_max);
  ::setrlimit(RLIMIT_AS, &now);
}

}  // namespace sluice
