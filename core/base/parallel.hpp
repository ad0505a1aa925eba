// The one way in which Sluice's own kernels use several cores: the pool that oneDNN was built with.
#pragma once

#include <cstdint>

namespace sluice {

/// Threads a step uses; the processors this process may run on until set_threads is called.
int num_threads();
/// Sets the threads of our kernels and of oneDNN, for steps on whatever thread, and makes them flush denormal numbers
/// to zero, which are slow and mean nothing to training. `count` is at least 1.
void set_threads(int count);
/// The processors this process may run on: the affinity mask, limited by the cgroup's quota.
int available_threads();

namespace detail {
/// Makes what set_threads said hold for the calling thread, before it calls oneDNN.
void adopt_threads();
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
