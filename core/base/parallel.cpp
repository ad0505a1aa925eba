#include "core/base/parallel.hpp"

#include <sched.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <string>

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

// cgroup v2: "max 100000" or "200000 100000" (quota and period in microseconds).
int cgroup_limit() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(std::stod(quota) / period)));
}

void flush_denormals() {
#ifdef __SSE2__
  _mm_setcsr(_mm_getcsr() | 0x8040U);  // FTZ and DAZ
#endif
}

#ifdef SLUICE_POOL_TBB
// The arena bounds our loops; global_control bounds oneDNN's, which run in the arena of the calling thread.
struct Pool {
  int threads = available_threads();
  std::unique_ptr<tbb::global_control> limit;
};
Pool& pool() {
  static Pool instance;
  return instance;
}
#endif

}  // namespace

int available_threads() {
  cpu_set_t mask;
  int count = 1;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) count = std::max(1, CPU_COUNT(&mask));
  const int limit = cgroup_limit();
  return limit > 0 ? std::min(count, limit) : count;
}

#ifdef SLUICE_POOL_TBB

int num_threads() {
  return pool().threads;
}

void set_threads(int count) {
  pool().limit.reset();
  pool().limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                       static_cast<std::size_t>(count));
  pool().threads = count;
  flush_denormals();  // TBB's workers take over the caller's floating-point settings
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

void detail::adopt_threads() {}

#else

namespace {
// OpenMP keeps the number of threads, and the processor its floating-point settings, for each thread that asks.
std::atomic<int> wanted_threads{0};  // 0: nobody has set it
thread_local int adopted_threads = 0;
}  // namespace

void detail::adopt_threads() {
  const int wanted = wanted_threads.load(std::memory_order_relaxed);
  if (wanted == adopted_threads) return;
  adopted_threads = wanted;
  omp_set_num_threads(wanted);
#pragma omp parallel
  flush_denormals();
}

int num_threads() {
  detail::adopt_threads();
  return omp_get_max_threads();
}

void set_threads(int count) {
  wanted_threads = count;
  adopted_threads = 0;
  detail::adopt_threads();
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
