// What stands at the beginning of a path that a user wrote, as shells read it.
#pragma once

#include <string>

namespace sluice {

/// A path with the home folder for a leading ~ and the variable's value for a leading $NAME. Throws Error(kUsage) with
/// the reason alone for ~NAME, a variable that is not set, and a $NAME further behind: none of them becomes a folder of
/// that name.
std::string expand_path(const std::string& path);

}  // namespace sluice
