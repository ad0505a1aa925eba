// Files that are either old or new, never half of each: temporary, fsync, rename, fsync of the directory.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/system_error.hpp"

namespace sluice {

/// Replaces the file (or makes it) with `bytes`. After it returns the new file survives a power cut; if it throws,
/// or the process dies on the way, the old file is untouched. Only a regular file is replaced: no link, FIFO or device.
/// `check`, if any, gets the name of the complete temporary before it becomes the file; where it throws, nothing is
/// replaced. Throws Error(kEnvironment).
void write_file_atomic(const std::string& path, std::string_view bytes,
                       const std::function<void(const std::string& temporary)>& check = nullptr);

/// Refuses, before any work is done, a place that write_file_atomic could not write to: a directory, or a file in one
/// that is missing or closed to us. Throws Error(kEnvironment).
void check_can_write(const std::string& path);

/// Writes a temporary of that size to the directory, flushes and removes it: throws Error(kEnvironment) where a file
/// could not be written.
void check_has_room(const std::string& directory, std::size_t bytes);

/// The whole file; nothing when there is none. Throws Error(kEnvironment) when it cannot be read.
std::optional<std::string> read_file(const std::string& path);

/// For writers that fill the temporary themselves: flushes `temporary` to the disk, renames it to `path` (same
/// directory) and flushes the directory. The temporary is removed when it throws Error(kEnvironment).
void commit_file(const std::string& temporary, const std::string& path);

/// Where to write what commit_file will rename: ".<name>.<process>-<16 random hexadecimal digits>.tmp" beside `path`;
/// of a long name its beginning. Make it with O_CREAT | O_EXCL.
std::string temporary_name(const std::string& path);

/// Removes the temporaries that dead processes left in `directory`; returns how many. Nothing but the names that
/// temporary_name gives is touched, and of a living process (on this machine, or perhaps another one with its number)
/// only what is older than a day. Only for the directory's owner (see the run directory's lock).
int remove_stale_temporaries(const std::string& directory);

/// The directory part of a path, "." when there is none.
std::string directory_of(const std::string& path);

}  // namespace sluice
