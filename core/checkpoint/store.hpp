// The checkpoints of one run: the newest few and the best, in one directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

/// Files "checkpoint-<step, ten digits>.h5" and "best.h5". One process writes to a directory at a time (the run
/// directory's lock).
class CheckpointStore {
 public:
  struct Last {
    Checkpoint checkpoint;
    std::string path;
    std::vector<std::string> warnings;  ///< a line for each newer checkpoint that had to be passed over
  };

  /// Makes the directory where it is missing and removes temporaries that a killed process left. Keeps the newest
  /// `keep` (at least 1) checkpoints. Throws Error(kEnvironment).
  CheckpointStore(std::string directory, std::int64_t keep);

  /// Writes the checkpoint of `step` (which reads it back), and only then drops older ones than the newest
  /// `keep`, and those of later steps (left over from before the run went back to an older checkpoint). With `best`,
  /// best.h5 becomes the same file. Returns the path. Throws Error(kEnvironment) and drops nothing when writing or
  /// reading back fails.
  std::string save(const Checkpoint& checkpoint, std::int64_t step, bool best);

  /// best.h5 becomes the same file as `path`. `save` does it after the checkpoint is in place, so that a run which is
  /// killed in between must do it again when it resumes.
  void make_best(const std::string& path) const;

  /// The newest checkpoint that verifies and loads, best.h5 after the numbered ones; nothing when there is none at all.
  /// Throws Error(kCheckpoint) with a line for each when there are some and none can be used.
  std::optional<Last> last() const;

  /// Steps of the numbered checkpoints, ascending. Nothing is read.
  std::vector<std::int64_t> steps() const;
  std::string path_of(std::int64_t step) const;
  std::string best_path() const;

 private:
  void prune(std::int64_t newest) const;

  std::string directory_;
  std::int64_t keep_;
};

}  // namespace sluice
