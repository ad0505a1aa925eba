// What two configurations do not share, and what that means for a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace sluice {

/// A value that two configurations do not share; absent where the key is. An empty key: the whole section came or went.
struct Change {
  std::string section, key;
  std::optional<std::string> before, now;
  RoleOfKey role;
};
/// "[optimizer] lr: 0.1 -> 0.01", "[group.bias]: absent -> present".
std::string to_string(const Change& change);

/// What changed between two configurations, defaults included, section by section in the order of `now`; for example
/// between a checkpoint's resolved text, parsed again, and the configuration of the run that resumes it. Values that
/// are written differently but mean the same ("0.1" and "0.10", "yes" and "on") are equal. `before` may be of an older
/// Sluice: a key that it lacks and whose value is its default did not change, and neither did one that `now`, where it
/// was read, does not know.
std::vector<Change> compare(const Config& before, const Config& now);

}  // namespace sluice
