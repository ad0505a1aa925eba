// The one way in which Sluice's own kernels use several cores: the pool that oneDNN was built with.
#pragma once

#include <cstdint>

namespace sluice {

/// What set_threads could get.
struct GrantedThreads {
  int count = 1;
  const char* limit = nullptr;  ///< what withheld the rest; null where nothing did
};

/// Threads a step uses; the processors this process may run on until set_threads is called.
int num_threads();
/// Sets the threads of our kernels and of oneDNN, for steps on whatever thread, and makes them flush denormal numbers
/// to zero, which are slow and mean nothing to training. `count` is at least 1. The threads are started to see that
/// they are there: where the system or OpenMP (OMP_THREAD_LIMIT) grants fewer, those are used. Throws
/// Error(kEnvironment) for more than one in a child that was forked from a process which computed with several.
GrantedThreads set_threads(int count);
/// The processors this process may run on: the affinity mask, or the places that OpenMP binds its threads to, limited
/// by the control groups' quotas. Counted by the first call.
int available_threads();
/// How many of `count` threads, this one among them, the system lets the process have at a time just now.
int startable_threads(int count);

namespace detail {
/// What an executor was planned for: so many threads, before or after a fork.
struct PlannedThreads {
  int count = 1;
  int forks = 0;
};
/// Makes what set_threads said hold for the calling thread, before it calls oneDNN. Throws Error(kEnvironment) where
/// this thread gets fewer, as one inside a parallel region of the caller's does: oneDNN would wait for them for ever.
PlannedThreads adopt_threads();
/// The same for a thread that runs what was planned; throws in a child that lost the threads by a fork.
void adopt_threads(const PlannedThreads& planned);
void run_parallel(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t), void* context);
}  // namespace detail

/// Calls body(begin, end) over contiguous pieces that cover [0, n) once, each at least `grain` long (but the last), in
/// parallel. Does not allocate. Never call oneDNN inside it. The body must not throw.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  auto* target = &body;
  detail::run_parallel(
      n, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<decltype(target)>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(target)));
}

}  // namespace sluice
