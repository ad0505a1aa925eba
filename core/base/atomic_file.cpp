// Atomic replacement of files with plain POSIX calls; every failure names the file, the step and what to do.
#include "core/base/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "core/base/error.hpp"

namespace sluice {
namespace {

const char* advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "free some space, or choose a place with more room";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a place that you may write to";
    case ENOENT:
      return "make the directory first";
    default:
      return "check the disk and the path";
  }
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  /// `label` stands in messages: the file the user knows, not its temporary.
  Descriptor(const std::string& path, int flags, const std::string& label)
      : label_(label), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) throw_system_error(label, "open", errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_system_error(label_, "write", errno);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  std::string read_all() {
    std::string bytes;
    char block[65536];
    for (;;) {
      const ssize_t count = ::read(fd_, block, sizeof block);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_system_error(label_, "read", errno);
      if (count == 0) return bytes;
      bytes.append(block, static_cast<std::size_t>(count));
    }
  }
  void sync() {
    // EINVAL: some file systems cannot flush directories or special files, and have nothing to flush then.
    if (::fsync(fd_) != 0 && errno != EINVAL) throw_system_error(label_, "flush", errno);
  }
  // Network file systems report a full disk here.
  void close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0 && errno != EINTR) throw_system_error(label_, "close", errno);
  }

 private:
  std::string label_;
  int fd_;
};

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

void rename_and_sync(const std::string& temporary, const std::string& path) {
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw_system_error(path, "replace", errno);
  Descriptor directory(directory_of(path), O_RDONLY | O_DIRECTORY, directory_of(path));
  directory.sync();
}

bool is_temporary(const std::string& name) {
  constexpr std::string_view kEnd = ".tmp";
  return name.size() > kEnd.size() + 1 && name.front() == '.' &&
         name.compare(name.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
}

}  // namespace

void throw_system_error(const std::string& path, const std::string& action, int error_number) {
  throw Error(ExitCode::kEnvironment,
              concat(path, ": cannot ", action, ": ", std::generic_category().message(error_number), "; ",
                     advice(error_number)));
}

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

std::string temporary_name(const std::string& path) {
  const std::filesystem::path whole(path);
  return (whole.parent_path() / concat('.', whole.filename().string(), '.', ::getpid(), ".tmp")).string();
}

void commit_file(const std::string& temporary, const std::string& path) {
  Cleanup cleanup(temporary);
  Descriptor file(temporary, O_RDONLY, path);
  file.sync();
  file.close();
  rename_and_sync(temporary, path);
  cleanup.keep();
}

std::optional<std::string> read_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  return Descriptor(path, O_RDONLY, path).read_all();
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  const std::string temporary = temporary_name(path);
  Cleanup cleanup(temporary);
  Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, path);
  file.write_all(bytes);
  file.sync();
  file.close();
  rename_and_sync(temporary, path);
  cleanup.keep();
}

int remove_stale_temporaries(const std::string& directory) {
  int count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (!is_temporary(entry.path().filename().string())) continue;
    if (std::filesystem::remove(entry.path(), ignored)) ++count;
  }
  return count;
}

}  // namespace sluice
