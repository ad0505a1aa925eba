// Threads: how many there are, in a child that was forked, and inside a parallel region of the caller's.
#include "core/base/parallel.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>

#include "core/base/error.hpp"

// OpenMP is not built for the thread sanitizer: that its threads wait for each other is not seen.
extern "C" const char* __tsan_default_suppressions() {
  return "race:omp_fn\n";
}

namespace sluice {
namespace {

class Parallel : public testing::Test {
 protected:
  Parallel() : before_(num_threads()) {}
  ~Parallel() override { set_threads(before_); }

  int before_;
};

std::string text_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return concat(static_cast<int>(error.code()), " ", error.what());
  }
  return "";
}

/// What `work` says in a child.
std::string in_a_child(const std::function<std::string()>& work) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a child that hangs says nothing
    const std::string text = work();
    _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  char text[1000];
  std::string said;
  for (ssize_t n = 0; (n = read(ends[0], text, sizeof text)) > 0;) said.append(text, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? said : concat("status ", status);
}

std::string sum_in_parallel() {
  std::atomic<int> sum{0};
  parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += static_cast<int>(end - begin); });
  return std::to_string(sum);
}

constexpr const char* kForked =
    "6 threads: this process was forked from one that computed with several threads, which it lacks; fork before the "
    "first session is made, or call set_threads(1) in the child and make its sessions there";

TEST_F(Parallel, WhatIsAskedForIsGranted) {
  for (int count : {3, 1, 2}) {
    const GrantedThreads granted = set_threads(count);
    EXPECT_EQ(granted.count, count);
    EXPECT_EQ(granted.limit, nullptr);
    EXPECT_EQ(num_threads(), count);
    EXPECT_EQ(startable_threads(count), count);
  }
}

TEST_F(Parallel, AChildThatLostItsThreadsSaysSo) {
  set_threads(2);
  const detail::PlannedThreads planned = detail::adopt_threads();
  EXPECT_EQ(planned.count, 2);
  EXPECT_EQ(in_a_child([] { return text_of([] { sum_in_parallel(); }); }), kForked);
  EXPECT_EQ(in_a_child([&] { return text_of([&] { detail::adopt_threads(planned); }); }), kForked);
  EXPECT_EQ(in_a_child([] { return text_of([] { set_threads(2); }); }), kForked);
  EXPECT_EQ(sum_in_parallel(), "100");
}

TEST_F(Parallel, AChildComputesWithOneThread) {
  set_threads(2);
  EXPECT_EQ(in_a_child([] { return set_threads(1), sum_in_parallel(); }), "100");
  set_threads(1);
  EXPECT_EQ(in_a_child([] { return sum_in_parallel(); }), "100");
  const detail::PlannedThreads planned = detail::adopt_threads();
  EXPECT_EQ(in_a_child([&] { return detail::adopt_threads(planned), sum_in_parallel(); }), "100");
}

#ifdef _OPENMP
TEST_F(Parallel, ARegionOfTheCallersGetsNoMoreThreads) {
  set_threads(2);
  const detail::PlannedThreads planned = detail::adopt_threads();
  std::string said[2][2];
#pragma omp parallel num_threads(2)
  {
#pragma omp critical
    {
      static int thread = 0;
      said[thread][0] = text_of([] { sum_in_parallel(); });
      said[thread++][1] = text_of([&] { detail::adopt_threads(planned); });
    }
  }
  for (const auto& thread : said)
    for (const std::string& text : thread)
      EXPECT_EQ(text,
                "6 threads: 2 are wanted, but this thread gets 1: OpenMP grants no more (OMP_THREAD_LIMIT, "
                "OMP_MAX_ACTIVE_LEVELS); compute outside of parallel regions, or call set_threads(1) before sessions "
                "are made");
  EXPECT_EQ(sum_in_parallel(), "100");
  set_threads(1);
  std::atomic<int> right{0};
#pragma omp parallel num_threads(2)
  right += sum_in_parallel() == "100";
  EXPECT_EQ(right, 2);
}
#endif

}  // namespace
}  // namespace sluice
