#include "core/base/output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>

#include "core/base/atomic_file.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

/// The open descriptor that a path names; -1 for a file.
int descriptor_number(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.substr(0, folder.size()) != folder) continue;
    const std::string_view digits = path.substr(folder.size());
    int number = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number >= 0) return number;
  }
  return -1;
}

[[noreturn]] void refuse(const std::string& path, const std::string& text) {
  throw Error(ExitCode::kUsage, concat(path, ": ", text));
}

}  // namespace

bool begins_with(const std::string& path, std::string_view bytes) {
  std::string begin(bytes.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  return file.read(begin.data(), static_cast<std::streamsize>(begin.size())) && begin == bytes;
}

Output::Output(std::string path, const OutputRules& rules) : path_(std::move(path)), number_(descriptor_number(path_)) {
  if (number_ >= 0) {
    way_ = Way::kDescriptor;
    const int access = ::fcntl(number_, F_GETFL);
    if (access < 0 || (access & O_ACCMODE) == O_RDONLY) throw_system_error(path_, "write", EBADF);
    return;
  }
  look(rules);
}

void Output::look(const OutputRules& rules) {
  struct stat status {};
  if (::lstat(path_.c_str(), &status) != 0) return check_can_write(path_);
  if (S_ISLNK(status.st_mode))
    refuse(path_, "is a symbolic link, which is not followed for writing; name the file itself, or remove the link");
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    way_ = Way::kOpen;
    return;
  }
  if (S_ISBLK(status.st_mode) || S_ISSOCK(status.st_mode))
    refuse(path_, concat("is a ", S_ISBLK(status.st_mode) ? "block device" : "socket",
                         "; expected a file, a FIFO or '-', standard output"));
  check_can_write(path_);
  if (rules.ours && rules.ours(path_)) return;
  replaces_foreign_ = true;
  if (rules.force) return;
  refuse(path_, concat("is there already, and ", rules.program,
                       " did not write it; name another file, or replace it with --force"));
}

void Output::refuse_inputs(const std::vector<std::string>& inputs) const {
  struct stat mine {};
  if ((number_ >= 0 ? ::fstat(number_, &mine) : ::lstat(path_.c_str(), &mine)) != 0 || !S_ISREG(mine.st_mode)) return;
  for (const std::string& input : inputs) {
    struct stat other {};
    if (::stat(input.c_str(), &other) != 0 || other.st_ino != mine.st_ino || other.st_dev != mine.st_dev) continue;
    refuse(path_, concat("is read by this call", input == path_ ? "" : concat(" as ", input), "; name another file"));
  }
}

void Output::write(std::string_view bytes) const {
  if (way_ == Way::kReplace) return write_file_atomic(path_, bytes);
  Descriptor file = way_ == Way::kDescriptor ? Descriptor(::fcntl(number_, F_DUPFD_CLOEXEC, 3), path_)
                                             : Descriptor(path_, O_WRONLY | O_NOFOLLOW, path_);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_system_error(path_, "open", errno);
  if (way_ == Way::kOpen && S_ISREG(status.st_mode)) refuse(path_, "became a regular file meanwhile; try again");
  file.write_all(bytes);
  file.close();
}

}  // namespace sluice
