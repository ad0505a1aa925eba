#include "core/base/parallel.hpp"

#include <pthread.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <atomic>

#include "core/base/error.hpp"
#include "oneapi/dnnl/dnnl_config.h"

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_TBB
#define SLUICE_POOL_TBB 1
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <memory>
#else
#include <omp.h>
#endif

namespace sluice {
namespace {

constexpr const char* kOpenMpLimit = "OpenMP grants no more (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS)";
constexpr const char* kSystemLimit = "the system starts no more (ulimit -u, or the pids limit of a container)";

void flush_denormals() {
#ifdef __SSE2__
  _mm_setcsr(_mm_getcsr() | 0x8040U);  // FTZ and DAZ
#endif
}

// A child has one thread, whatever the pools of its parent believe.
std::atomic<bool> computed_with_several{false};
std::atomic<int> forks{0};  // that took threads away

void remember_several() {
  if (computed_with_several.exchange(true)) return;
  pthread_atfork(nullptr, nullptr, [] { ++forks; });
}

[[noreturn]] void refuse_after_fork() {
  throw Error(ExitCode::kEnvironment,
              "threads: this process was forked from one that computed with several threads, which it lacks; fork "
              "before the first session is made, or call set_threads(1) in the child and make its sessions there");
}

}  // namespace

#ifdef SLUICE_POOL_TBB

namespace {
// The arena bounds our loops; global_control bounds oneDNN's, which run in the arena of the calling thread.
struct Pool {
  int threads = available_threads();
  std::unique_ptr<tbb::global_control> limit;
};
Pool& pool() {
  static Pool instance;
  return instance;
}
}  // namespace

int num_threads() {
  return pool().threads;
}

GrantedThreads set_threads(int count) {
  if (count > 1 && forks > 0) refuse_after_fork();
  const int startable = startable_threads(count);
  pool().limit.reset();
  pool().limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                       static_cast<std::size_t>(startable));
  pool().threads = startable;
  flush_denormals();  // TBB's workers take over the caller's floating-point settings
  if (startable > 1) remember_several();
  return {startable, startable < count ? kSystemLimit : nullptr};
}

void detail::run_parallel(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                          void* context) {
  if (n <= 0) return;
  const std::int64_t pieces = std::clamp<std::int64_t>(n / std::max<std::int64_t>(1, grain), 1, num_threads());
  if (pieces == 1) return body(context, 0, n);
  tbb::parallel_for(
      std::int64_t{0}, pieces, [&](std::int64_t i) { body(context, n * i / pieces, n * (i + 1) / pieces); },
      tbb::static_partitioner());
}

detail::PlannedThreads detail::adopt_threads() {
  if (num_threads() > 1) {
    if (forks > 0) refuse_after_fork();
    remember_several();
  }
  return {num_threads(), forks};
}

void detail::adopt_threads(const PlannedThreads& planned) {
  if (planned.count > 1 && planned.forks != forks) refuse_after_fork();
}

#else

namespace {

// OpenMP keeps the number of threads, and the processor its floating-point settings, for each thread that asks.
std::atomic<int> wanted_threads{0};  // 0: nobody has set it
thread_local int adopted_threads = -1;

/// The caller is inside parallel regions of its own, and OpenMP makes no more threads there.
bool is_nested() {
  return omp_in_parallel() != 0 && omp_get_active_level() >= omp_get_max_active_levels();
}

[[noreturn]] void refuse_fewer(int wanted, const GrantedThreads& granted) {
  throw Error(ExitCode::kEnvironment,
              concat("threads: ", wanted, " are wanted, but this thread gets ", granted.count, ": ", granted.limit,
                     "; compute outside of parallel regions, or call set_threads(", granted.count,
                     ") before sessions are made"));
}

/// Starts a region of `count` threads from the calling thread; returns how many OpenMP granted. Later regions get as
/// many: their number is not left to the machine's load.
int try_region(int count, bool flushing) {
  omp_set_dynamic(0);
  omp_set_num_threads(count);
  if (flushing) flush_denormals();
  if (count == 1) return 1;  // needs no region, which a forked child could not begin
  remember_several();
  int granted = 1;
#pragma omp parallel
  {
    if (flushing) flush_denormals();
#pragma omp master
    granted = omp_get_num_threads();
  }
  omp_set_num_threads(granted);
  return granted;
}

GrantedThreads grant(int count, bool flushing) {
  if (count > 1 && forks > 0) refuse_after_fork();
  const int startable = count <= adopted_threads ? count : startable_threads(count);
  const int granted = try_region(startable, flushing);
  if (granted < startable) return {granted, kOpenMpLimit};
  return {granted, granted < count ? kSystemLimit : nullptr};
}

void adopt(int wanted) {
  // Where nobody has set a number it is the one that OpenMP starts with.
  const GrantedThreads granted = grant(wanted > 0 ? wanted : omp_get_max_threads(), wanted > 0);
  if (granted.count < wanted) refuse_fewer(wanted, granted);
  adopted_threads = wanted;
}

}  // namespace

detail::PlannedThreads detail::adopt_threads() {
  const int wanted = wanted_threads.load(std::memory_order_relaxed);
  if (wanted != adopted_threads || (wanted != 1 && (forks > 0 || is_nested()))) adopt(wanted);
  return {omp_get_max_threads(), forks};
}

void detail::adopt_threads(const PlannedThreads& planned) {
  if (planned.count > 1 && planned.forks != forks) refuse_after_fork();
  if (planned.count > 1 && is_nested()) refuse_fewer(planned.count, {1, kOpenMpLimit});
  adopt_threads();
}

int num_threads() {
  return detail::adopt_threads().count;
}

GrantedThreads set_threads(int count) {
  const GrantedThreads granted = grant(count, true);
  adopted_threads = wanted_threads = granted.count;
  return granted;
}

void detail::run_parallel(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t),
                          void* context) {
  if (n <= 0) return;
  const std::int64_t pieces = std::clamp<std::int64_t>(n / std::max<std::int64_t>(1, grain), 1, num_threads());
  if (pieces == 1) return body(context, 0, n);
#pragma omp parallel num_threads(static_cast <int>(pieces))
  {
    // The runtime may grant fewer threads than asked for: each takes every team-size-th piece.
    const std::int64_t team = omp_get_num_threads();
    for (std::int64_t i = omp_get_thread_num(); i < pieces; i += team)
      body(context, n * i / pieces, n * (i + 1) / pieces);
  }
}

#endif

}  // namespace sluice
