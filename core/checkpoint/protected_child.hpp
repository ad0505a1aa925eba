// Runs work that may crash, hang or ask for too much memory in a child process.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

namespace sluice {

struct ChildLimits {
  double seconds = 60;                                ///< wall time; the processor time is limited to the same
  std::int64_t memory_bytes = std::int64_t{4} << 30;  ///< address space
  std::int64_t output_bytes = std::int64_t{1} << 28;
};

struct ChildResult {
  enum class End { kReturned, kCrashed, kTimedOut, kTooMuchOutput };
  End end = End::kReturned;
  int code = 0;          ///< what the work returned, or the exit code of the Error that it threw
  std::string out, err;  ///< what it printed, with the text of that Error; empty unless it returned
  std::string
      describe;  ///< "crashed (signal 11, Segmentation fault)", "took longer than 60 s", ...; empty when it returned
};

/// Forks, runs `work(out, err)` in the child under the limits and collects what it prints. To be called while the
/// process has one thread. Throws Error(kEnvironment) when there can be no child.
ChildResult run_in_child(const std::function<int(std::ostream& out, std::ostream& err)>& work,
                         const ChildLimits& limits);

}  // namespace sluice
