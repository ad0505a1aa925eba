// Names made shorter for lines that have no room for them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice {

/// `text` without its middle, "resnet2...ights.h5", where it has more than `width` characters; `width`: at least 5.
std::string cut_middle(const std::string& text, std::size_t width);

/// The least width from `least` to `most` at which cut_middle() leaves names different that are; `least` if none does.
std::size_t telling_width(const std::vector<std::string>& names, std::size_t least, std::size_t most);

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
