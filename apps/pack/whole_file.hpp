// Files that are read as a whole.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// All of a file that is not gzipped. Throws Error(kData), also where it has more than `most` bytes: then it is not
/// `what`. `advice`: see InputFile.
std::string read_whole(const std::string& path, const std::string& advice, std::int64_t most, const std::string& what);

}  // namespace sluice
