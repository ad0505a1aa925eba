// What control groups (containers, batch systems) allow a process.
#pragma once

#include <string>

namespace sluice {

/// The processors' worth of time that the control group of this process and all groups around it allow, whichever is
/// least, rounded up; 0 for no limit. Understands version 2 (cpu.max), version 1 (cpu.cfs_quota_us) and both at once.
/// `root` stands before all paths, for tests.
int cgroup_limit(const std::string& root = "");

}  // namespace sluice
