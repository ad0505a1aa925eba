// Names made shorter for lines that have no room for them.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// The folders that all paths begin with, "runs/", and what all of them end with, "/weights.h5": whole names of folders
/// and files, and of each path at least one is left between.
struct SharedPath {
  std::string front, back;
  bool empty() const { return front.empty() && back.empty(); }
  /// What is left of a path that has it; of an empty one nothing.
  std::string rest_of(const std::string& path) const;
};
/// Of those that are not empty.
SharedPath shared_path(std::vector<std::string> paths);

}  // namespace sluice
