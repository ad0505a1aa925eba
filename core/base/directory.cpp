#include "core/base/directory.hpp"

#include <dirent.h>

#include <cerrno>
#include <memory>

namespace sluice {

std::vector<std::string> names_in(const std::string& directory, std::error_code& error) {
  error.clear();
  std::vector<std::string> names;
  const auto close = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> open(::opendir(directory.c_str()), close);
  errno = open == nullptr ? errno : 0;
  while (const dirent* entry = open != nullptr ? ::readdir(open.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) error.assign(errno, std::generic_category());
  return names;
}

}  // namespace sluice
