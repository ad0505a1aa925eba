// The processors of this process, and where they are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

/// The processors that available_threads() counts before quotas, ascending; none where there are more than a mask of
/// the system holds.
std::vector<std::int64_t> allowed_processors();
/// The NUMA nodes that any of these belong to, ascending; none where the system does not say. `root` stands before all
/// paths, for tests.
std::vector<std::int64_t> numa_nodes(const std::vector<std::int64_t>& processors, const std::string& root = "");

/// Ascending numbers as the system writes them, "0-3,8", and back; what is no such text gives what comes before.
std::string number_list(const std::vector<std::int64_t>& numbers);
std::vector<std::int64_t> parse_number_list(const std::string& text);

}  // namespace sluice
