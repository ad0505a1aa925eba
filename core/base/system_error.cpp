#include "core/base/system_error.hpp"

#include <cerrno>
#include <system_error>

#include "core/base/error.hpp"

namespace sluice {

std::string system_advice(int error_number, Access access) {
  const bool reads = access == Access::kRead;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose a place with more room";
    case EFBIG:
      return "raise the limit (ulimit -f), or choose a file system that takes larger files";
    case EACCES:
    case EPERM:
    case EROFS:
      return reads ? "" : "choose a place that you may write to";
    case ENOENT:
      return reads ? "" : "make the directory first";
    case EMFILE:
      return "raise the limit (ulimit -n)";
    case ENFILE:
      return "close other programs, or have the machine's limit raised (fs.file-max)";
    case ENOMEM:
      return "free some memory, or raise its limit (ulimit -v, or that of the job)";
    case EAGAIN:
      return "try again, or raise the limit of processes (ulimit -u, or that of the job)";
    case ELOOP:
      return "name the file itself: its path goes through a symbolic link that is not followed, or in a circle";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case ENOTDIR:
      return "correct the path: a part of it is a file";
    case EISDIR:
      return "name a file in it";
    case ETXTBSY:
    case EBUSY:
      return "end the program that uses it";
    case EPIPE:
      return "its reader has ended";
    case EBADF:
      return "it was closed: redirect it to a file, or to /dev/null";
    case ESTALE:
      return "the network file system lost it: try again";
    case EIO:
      return "check the disk";
    default:
      return "check the path and the disk";
  }
}

std::string system_reason(int error_number, Access access) {
  const std::string what = system_advice(error_number, access);
  return std::generic_category().message(error_number) + (what.empty() ? "" : "; ") + what;
}

void throw_system_error(const std::string& path, const std::string& action, int error_number, Access access) {
  throw Error(ExitCode::kEnvironment, concat(path, ": cannot ", action, ": ", system_reason(error_number, access)));
}

}  // namespace sluice
