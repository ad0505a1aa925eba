// The one exception type of Sluice, and the exit code that a program ends with when it reaches main.
#pragma once

#include <stdexcept>
#include <string>

#include "core/base/text_stream.hpp"

namespace sluice {

/// Exit codes of every Sluice program. A second signal ends a program with 128 + its number.
enum class ExitCode : int {
  kDone = 0,
  kInternal = 1,     ///< a bug in Sluice; for `sluice-inspect --diff`: the files differ
  kUsage = 2,        ///< command line, configuration or plug-in
  kData = 3,         ///< a data set is missing, damaged or does not fit the network
  kDiverged = 4,     ///< NaN or Inf, stopped before the update
  kCheckpoint = 5,   ///< a checkpoint is missing, damaged or does not fit the network
  kEnvironment = 6,  ///< disk full, directory not writable, no native bf16
  kStopped = 75      ///< stopped early by a signal or the time budget; can be resumed
};

/// Text = where: what was expected, what was found; what to do. One line, except for a list of configuration errors.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Joins the printed forms of its arguments: concat("expected ", 3, ", got ", 4).
template <class... Parts>
std::string concat(const Parts&... parts) {
  TextWriter text;
  (text << ... << parts);
  return text.str();
}

}  // namespace sluice
