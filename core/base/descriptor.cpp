#include "core/base/descriptor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.hpp"
#include "core/base/system_error.hpp"

namespace sluice {
namespace {

std::string kind_of(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

[[noreturn]] void refuse(const std::string& path, mode_t mode) {
  throw Error(ExitCode::kEnvironment, concat(path, ": is ", kind_of(mode),
                                             ", expected a regular file or nothing; remove it, or choose another "
                                             "place"));
}

}  // namespace

int write_fully(int fd, std::string_view bytes, int patience_ms) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      if (::poll(&ready, 1, patience_ms) == 0) return EAGAIN;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

Descriptor::Descriptor(const std::string& path, int flags, const std::string& label)
    : label_(label), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  const bool reads = (flags & O_ACCMODE) == O_RDONLY;
  if (fd_ < 0) throw_system_error(label, "open", errno, reads ? Access::kRead : Access::kWrite);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int Descriptor::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Descriptor::write_all(std::string_view bytes) {
  if (const int error = write_fully(fd_, bytes); error != 0) throw_system_error(label_, "write", error);
}

std::string Descriptor::read_all() {
  std::string bytes;
  char block[65536];
  for (;;) {
    const ssize_t count = ::read(fd_, block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_system_error(label_, "read", errno, Access::kRead);
    if (count == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(count));
  }
}

void Descriptor::sync() {
  // EINVAL: some file systems cannot flush directories or special files, and have nothing to flush then.
  if (::fsync(fd_) != 0 && errno != EINVAL) throw_system_error(label_, "flush", errno);
}

void Descriptor::close() {
  if (::close(release()) != 0 && errno != EINTR) throw_system_error(label_, "close", errno);
}

int open_regular(const std::string& path, int flags) {
  check_regular_or_absent(path);
  // O_NONBLOCK: a FIFO that took its place since would wait for a reader.
  Descriptor file(path, flags | O_NOFOLLOW | O_NONBLOCK, path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_system_error(path, "open", errno);
  if (!S_ISREG(status.st_mode)) refuse(path, status.st_mode);
  return file.release();
}

void check_regular_or_absent(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) refuse(path, status.st_mode);
}

void occupy_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. If there is no /dev/null, later files fail as well.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

}  // namespace sluice
