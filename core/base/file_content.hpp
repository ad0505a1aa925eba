// What a file is by its first bytes: for messages about files that are something else than they were taken for.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

/// "a web page", "a gzipped file", "a pointer of Git LFS (git lfs pull fetches the file itself)", ...; empty where the
/// first `count` bytes are of nothing that is known. Four of them suffice.
std::string name_content(const void* bytes, std::int64_t count);

/// The same of a file; empty also where it cannot be read.
std::string name_content_of(const std::string& path);

}  // namespace sluice
