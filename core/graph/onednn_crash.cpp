#include "core/graph/onednn_crash.hpp"

#include <link.h>
#include <signal.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "core/base/error.hpp"
#include "oneapi/dnnl/dnnl.h"

namespace sluice {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Code {
  std::uintptr_t begin = 0, end = 0;
  bool has(std::uintptr_t address) const { return begin <= address && address < end; }
};

Code library;  // oneDNN's
const char* name = "";

/// Finds the segment that holds one of oneDNN's functions.
int find_library(dl_phdr_info* object, std::size_t, void*) {
  const auto function = reinterpret_cast<std::uintptr_t>(&dnnl_version);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    const std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    const Code code{begin, begin + segment.p_memsz};
    if (segment.p_type == PT_LOAD && code.has(function)) library = code;
  }
  return 0;
}

std::uintptr_t place_of_crash(void* context) {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<std::uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#else
  static_cast<void>(context);
  return 0;
#endif
}

void say(const char* text) {
  static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text)));
}

void on_crash(int number, siginfo_t*, void* context) {
  if (!library.has(place_of_crash(context))) {
    ::signal(number, SIG_DFL);
    return;  // it crashes again
  }
  say(name);
  say(": oneDNN crashed, as it does where it gets no memory; free memory, or use fewer threads\n");
  ::_exit(static_cast<int>(ExitCode::kEnvironment));
}

}  // namespace

void explain_crashes_of_onednn(const char* program) {
  if (kSanitized) return;  // sanitizers explain crashes themselves
  name = program;
  ::dl_iterate_phdr(find_library, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO;
  for (const int number : {SIGSEGV, SIGBUS}) ::sigaction(number, &action, nullptr);
}

}  // namespace sluice
