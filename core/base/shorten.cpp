#include "core/base/shorten.hpp"

#include <algorithm>
#include <string_view>

namespace sluice {
namespace {

/// Characters before a path's last name; a slash behind that belongs to it.
std::size_t folder_size(std::string_view path) {
  return path.size() < 2 ? 0 : path.rfind('/', path.size() - 2) + 1;
}

/// What two texts of whole folders begin with, up to a slash.
std::string shared_front(const std::string& a, const std::string& b) {
  std::size_t same = 0, front = 0;
  while (same < std::min(a.size(), b.size()) && a[same] == b[same]) {
    ++same;
    if (a[same - 1] == '/') front = same;
  }
  return a.substr(0, front);
}

/// What both end with, from a slash on, and not the whole of the path.
std::string shared_back(const std::string& end, const std::string& path) {
  std::size_t same = 0, back = 0;
  while (same < end.size() && same + 1 < path.size() && end[end.size() - 1 - same] == path[path.size() - 1 - same]) {
    ++same;
    if (end[end.size() - same] == '/') back = same;
  }
  return end.substr(end.size() - back);
}

}  // namespace

std::string SharedPath::rest_of(const std::string& path) const {
  return path.empty() ? path : path.substr(front.size(), path.size() - front.size() - back.size());
}

SharedPath shared_path(std::vector<std::string> paths) {
  paths.erase(std::remove(paths.begin(), paths.end(), ""), paths.end());
  SharedPath shared;
  if (paths.empty()) return shared;
  shared.front = paths.front();
  for (const std::string& path : paths) shared.front = shared_front(shared.front, path.substr(0, folder_size(path)));
  for (std::string& path : paths) path.erase(0, shared.front.size());
  shared.back = paths.front();
  for (const std::string& path : paths) shared.back = shared_back(shared.back, path);
  return shared;
}

}  // namespace sluice
