// What sluice-inspect does: shows, verifies and compares checkpoints and, as far as it can, any other HDF5 file.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

struct InspectOptions {
  std::string file;
  bool stats = false;   ///< statistics of every tensor, beside its shape
  bool config = false;  ///< the five flags from here choose what is shown; none of them: header and tensors
  bool history = false;
  bool plot = false;                  ///< the history as curves
  bool decisions = false;             ///< layers whose work depends on their images
  std::vector<std::string> deciding;  ///< names of the tensors by which layers decide about that
  bool verify = false;
  std::string diff;    ///< compare with this file
  std::string filter;  ///< glob over tensor paths ('*' also matches '/'); empty takes all
  bool json = false;
  std::int64_t width = 0;      ///< characters of a line; 0: no terminal, and so no limit
  double timeout_seconds = 0;  ///< for reading, which another process does; 0: a minute, and more for large files
};

/// Prints to `out`, warnings to `err`, and returns the exit code: kDone, kInternal when `diff` finds a difference,
/// kCheckpoint for damage. Throws Error(kCheckpoint) when nothing can be shown.
int inspect(const InspectOptions& options, std::ostream& out, std::ostream& err);

/// The document of a checkpoint whose seal was lost when another program changed the file. All that `verify` looks at
/// must be right but seal and digest. Throws ErrorLines(kCheckpoint) with a line for each problem, Error(kUsage) where
/// the seal is intact.
Checkpoint read_edited(const InspectOptions& options);

}  // namespace sluice
