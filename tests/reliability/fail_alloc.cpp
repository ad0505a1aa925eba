// Preloaded into a program: its N-th allocation fails (FAIL_ALLOC=N; 0: none does). FAIL_ALLOC_LOG names a file that
// gets a line "count N" at the end, and the call stack of the one that failed.
#include <execinfo.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

std::atomic<long> allocations{0};
std::atomic<long> fails{-1};  // until the program begins nothing is counted
char log_path[4096];

void write_log(const char* text, int length) {
  const int fd = ::open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0 || ::write(fd, text, static_cast<std::size_t>(length)) != length) _exit(99);
  ::close(fd);
}

void write_stack() {
  void* frames[64];
  const int depth = ::backtrace(frames, 64);
  const int fd = ::open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  ::backtrace_symbols_fd(frames, depth, fd);
  ::close(fd);
}

bool fail() {
  const long failing = fails;
  if (failing < 0 || ++allocations != failing) return false;
  write_stack();
  errno = ENOMEM;
  return true;
}

__attribute__((constructor)) void begin() {
  void* frames[1];
  ::backtrace(frames, 1);  // loads what it needs, which allocates
  const char* path = std::getenv("FAIL_ALLOC_LOG");
  const char* number = std::getenv("FAIL_ALLOC");
  if (path == nullptr || number == nullptr) return;
  std::snprintf(log_path, sizeof log_path, "%s", path);
  ::unsetenv("LD_PRELOAD");  // the process that reads HDF5 files is another one, and counts for itself
  fails = std::atol(number);
}

__attribute__((destructor)) void end() {
  if (fails < 0) return;
  char text[64];
  write_log(text, std::snprintf(text, sizeof text, "count %ld\n", allocations.load()));
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  return fail() ? nullptr : __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  return fail() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* old, std::size_t size) {
  return fail() ? nullptr : __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  return fail() ? nullptr : __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return fail() ? nullptr : __libc_memalign(alignment, size);
}

int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  void* const block = fail() ? nullptr : __libc_memalign(alignment, size);
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}
}
