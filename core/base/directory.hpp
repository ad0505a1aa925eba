// What lies in a directory.
#pragma once

#include <string>
#include <system_error>
#include <vector>

namespace sluice {

/// The names of all entries but "." and "..", in no order. Unlike std::filesystem's iterator, which ends the process,
/// it throws std::bad_alloc where memory does not suffice.
std::vector<std::string> names_in(const std::string& directory, std::error_code& error);

}  // namespace sluice
