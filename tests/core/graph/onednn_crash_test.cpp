// A crash inside oneDNN's library ends with one line; another one stays what it is.
#include "core/graph/onednn_crash.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "core/base/error.hpp"
#include "oneapi/dnnl/dnnl.h"

namespace sluice {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void begin() {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  explain_crashes_of_onednn("some-program");
}

volatile std::uintptr_t nowhere = 64;

// oneDNN 2 and 3 name the descriptor's type differently.
template <class Descriptor>
void size_of_nowhere(std::size_t (*size)(const Descriptor*)) {
  size(reinterpret_cast<const Descriptor*>(nowhere));
}

TEST(OnednnCrash, EndsWithALine) {
  const auto crash = [] {
    begin();
    size_of_nowhere(dnnl_memory_desc_get_size);
  };
  EXPECT_EXIT(
      crash(), testing::ExitedWithCode(static_cast<int>(ExitCode::kEnvironment)),
      "^some-program: oneDNN crashed, as it does where it gets no memory; free memory, or use fewer threads\n$");
}

TEST(OnednnCrash, AnotherCrashStaysOne) {
  const auto crash = [] {
    begin();
    *reinterpret_cast<int*>(nowhere) = 1;
  };
  EXPECT_EXIT(crash(), testing::KilledBySignal(SIGSEGV), "^$");
}
#endif

}  // namespace
}  // namespace sluice
