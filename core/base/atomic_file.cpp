// Atomic replacement of files with plain POSIX calls; every failure names the file, the step and what to do.
#include "core/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <random>

#include "core/base/descriptor.hpp"
#include "core/base/directory.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

constexpr std::string_view kEnd = ".tmp";
constexpr std::size_t kRandomDigits = 16;
constexpr std::size_t kLongestName = 200;  // of the file, in the name of its temporary: 255 bytes hold the rest
constexpr double kStaleSeconds = 24 * 3600;

/// Removes the file unless told to keep it.
class Cleanup {
 public:
  explicit Cleanup(const std::string& path) : path_(path) {}
  ~Cleanup() {
    if (!done_) ::unlink(path_.c_str());
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  void keep() { done_ = true; }

 private:
  const std::string& path_;
  bool done_ = false;
};

std::string random_digits() {
  std::random_device source;  // the system's generator: nobody can guess the name and lay a link there
  std::string digits;
  while (digits.size() < kRandomDigits) digits += "0123456789abcdef"[source() % 16];
  return digits;
}

/// Exclusive: what already has the name, also a link, is neither opened nor followed.
Descriptor make_temporary(const std::string& name, const std::string& label) {
  return {name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, label};
}

void rename_and_sync(const std::string& temporary, const std::string& path) {
  check_regular_or_absent(path);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw_system_error(path, "replace", errno);
  Descriptor directory(directory_of(path), O_RDONLY | O_DIRECTORY, directory_of(path));
  directory.sync();
}

/// The process in the name of a temporary of ours; 0 for any other name.
pid_t process_of(std::string_view name) {
  const auto ends_with = [&](std::string_view end) {
    return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
  };
  if (name.empty() || name.front() != '.' || !ends_with(kEnd)) return 0;
  name.remove_suffix(kEnd.size());
  const std::size_t dash = name.rfind('-'), dot = name.rfind('.');
  if (dash == std::string_view::npos || dot == 0 || dot > dash) return 0;
  const std::string_view digits = name.substr(dash + 1), process = name.substr(dot + 1, dash - dot - 1);
  if (digits.size() != kRandomDigits || digits.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return 0;
  pid_t number = 0;
  const auto [end, error] = std::from_chars(process.data(), process.data() + process.size(), number);
  return error == std::errc() && end == process.data() + process.size() && number > 0 ? number : 0;
}

bool is_stale(const std::string& path) {
  const pid_t process = process_of(std::filesystem::path(path).filename().string());
  struct stat status {};
  if (process == 0 || ::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  // Our own number: of an earlier process, as in a container that starts again. We have written nothing here yet.
  const bool alive = process != ::getpid() && (::kill(process, 0) == 0 || errno == EPERM);
  return !alive || std::difftime(std::time(nullptr), status.st_mtime) > kStaleSeconds;
}

}  // namespace

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

void check_can_write(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(ExitCode::kEnvironment, concat(path, ": is a directory, expected the name of a file"));
  if (::access((directory_of(path) + "/.").c_str(), W_OK) != 0) throw_system_error(path, "write", errno);
  if (::access(path.c_str(), F_OK) != 0 && errno != ENOENT) throw_system_error(path, "write", errno);
}

void check_has_room(const std::string& directory, std::size_t bytes) {
  const std::string temporary = temporary_name(directory + "/probe");
  Descriptor file = make_temporary(temporary, directory);
  const Cleanup cleanup(temporary);
  file.write_all(std::string(bytes, '\0'));
  file.sync();
  file.close();
}

std::string temporary_name(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string name = whole.filename().string().substr(0, kLongestName);
  return (whole.parent_path() / concat('.', name, '.', ::getpid(), '-', random_digits(), kEnd)).string();
}

void commit_file(const std::string& temporary, const std::string& path) {
  Cleanup cleanup(temporary);
  Descriptor file(temporary, O_RDONLY | O_NOFOLLOW, path);
  file.sync();
  file.close();
  rename_and_sync(temporary, path);
  cleanup.keep();
}

std::optional<std::string> read_file(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 && errno == ENOENT) return std::nullopt;
  // O_NONBLOCK: a FIFO would wait for a writer.
  return Descriptor(path, O_RDONLY | O_NONBLOCK, path).read_all();
}

void write_file_atomic(const std::string& path, std::string_view bytes,
                       const std::function<void(const std::string& temporary)>& check) {
  check_regular_or_absent(path);
  const std::string temporary = temporary_name(path);
  Descriptor file = make_temporary(temporary, path);
  Cleanup cleanup(temporary);
  file.write_all(bytes);
  file.sync();
  file.close();
  if (check) check(temporary);
  rename_and_sync(temporary, path);
  cleanup.keep();
}

int remove_stale_temporaries(const std::string& directory) {
  int count = 0;
  std::error_code ignored;
  for (const std::string& name : names_in(directory, ignored)) {
    const std::filesystem::path path = std::filesystem::path(directory) / name;
    if (is_stale(path.string()) && std::filesystem::remove(path, ignored)) ++count;
  }
  return count;
}

}  // namespace sluice
