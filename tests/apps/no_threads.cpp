// Preloaded into a program: the system starts no more than THREADS_AT_ONCE threads beside the first at a time, and no
// more than THREADS_IN_ALL altogether.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>

namespace {

std::atomic<int> alive{0}, started{0};

struct Start {
  void* (*function)(void*);
  void* argument;
};

void* run(void* given) {
  const Start start = *static_cast<Start*>(given);
  delete static_cast<Start*>(given);
  void* const result = start.function(start.argument);
  --alive;
  return result;
}

int limit(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : INT_MAX;
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                              void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const Create create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (alive >= limit("THREADS_AT_ONCE") || started >= limit("THREADS_IN_ALL")) return EAGAIN;
  ++alive;
  ++started;
  return create(thread, attributes, run, new Start{function, argument});
}
