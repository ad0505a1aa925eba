// Which processors and how many threads this process may use.
#include "core/base/processors.hpp"

#include <sched.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/cgroup.hpp"
#include "core/base/directory.hpp"
#include "core/base/parallel.hpp"
#include "oneapi/dnnl/dnnl_config.h"

#if DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_TBB
#include <omp.h>
#endif

namespace sluice {
namespace {

/// The processors of the places that OpenMP binds threads to (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY); none where
/// it does not bind. It binds the main thread to the first of them as soon as it is loaded.
cpu_set_t bound_places() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
#if DNNL_CPU_THREADING_RUNTIME != DNNL_RUNTIME_TBB
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, ids.data());
    for (int id : ids)
      if (id < CPU_SETSIZE) CPU_SET(id, &processors);
  }
#endif
  return processors;
}

int count_processors() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0)  // more processors than a mask holds
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const cpu_set_t places = bound_places();
  if (CPU_COUNT(&places) > CPU_COUNT(&mask)) {
    // TBB counts processors once, too, and its workers take the mask of that moment.
    sched_setaffinity(0, sizeof(places), &places);
    tbb::this_task_arena::max_concurrency();
    sched_setaffinity(0, sizeof(mask), &mask);
    return CPU_COUNT(&places);
  }
  return std::max(1, CPU_COUNT(&mask));
}

std::size_t threads_alive() {
  std::error_code ignored;
  return names_in("/proc/self/task", ignored).size();
}

int count_threads() {
  const int count = count_processors(), limit = cgroup_limit();
  return limit > 0 ? std::min(count, limit) : count;
}

}  // namespace

std::vector<std::int64_t> allowed_processors() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return {};
  const cpu_set_t places = bound_places();
  const cpu_set_t& allowed = CPU_COUNT(&places) > CPU_COUNT(&mask) ? places : mask;
  std::vector<std::int64_t> processors;
  for (int id = 0; id < CPU_SETSIZE; ++id)
    if (CPU_ISSET(id, &allowed)) processors.push_back(id);
  return processors;
}

int available_threads() {
  static const int count = count_threads();
  return count;
}

int startable_threads(int count) {
  if (count <= 1) return count;
  const std::size_t before = threads_alive();
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(count));
  std::mutex gate;
  try {
    const std::lock_guard<std::mutex> closed(gate);
    for (int i = 1; i < count; ++i) others.emplace_back([&gate] { const std::lock_guard<std::mutex> passing(gate); });
  } catch (const std::exception&) {  // no more threads, or no memory for them
  }
  for (std::thread& other : others) other.join();
  // The system counts a thread for a moment longer than it lives.
  for (int ms = 0; ms < 100 && threads_alive() > before; ++ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return static_cast<int>(others.size()) + 1;
}

}  // namespace sluice
