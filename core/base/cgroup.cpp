#include "core/base/cgroup.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <vector>

#include "core/base/text_stream.hpp"

namespace sluice {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

/// One hierarchy of groups that may limit processors: where it is mounted, and our group below that.
struct Hierarchy {
  bool unified = false;  // version 2
  std::string mount, group;
};

/// A file that holds "200000 100000", "max 100000", "-1"; nothing where it is not there.
std::vector<double> numbers(const std::string& path) {
  std::ifstream file(path);
  std::vector<double> found;
  for (double value = 0; file >> value;) found.push_back(value);
  return found;
}

double limit_of(bool unified, const std::string& directory) {
  std::vector<double> values = numbers(directory + (unified ? "/cpu.max" : "/cpu.cfs_quota_us"));
  if (!unified && values.size() == 1) {
    const std::vector<double> period = numbers(directory + "/cpu.cfs_period_us");
    values.insert(values.end(), period.begin(), period.end());
  }
  return values.size() == 2 && values[0] > 0 && values[1] > 0 ? values[0] / values[1] : kNone;
}

double limit_of(const Hierarchy& hierarchy) {
  double least = kNone;
  for (std::string group = hierarchy.group;; group.erase(group.rfind('/'))) {
    least = std::min(least, limit_of(hierarchy.unified, hierarchy.mount + group));
    if (group.find('/') == std::string::npos) return least;
  }
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

/// Our group in a hierarchy, as /proc/self/cgroup has it: lines "3:cpu,cpuacct:/jobs/7", of version 2 "0::/jobs/7".
std::string group_in(bool unified, const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : has_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return "";
}

/// The group as seen from a mount that shows the hierarchy from `top` on; a container may not see its own name.
std::string below(const std::string& group, const std::string& top) {
  const std::string start = top == "/" ? "" : top;
  const bool inside = group.compare(0, start.size(), start) == 0 && group.find("/..") == std::string::npos;
  const std::string rest = inside ? group.substr(start.size()) : "";
  return rest == "/" || (!rest.empty() && rest[0] != '/') ? "" : rest;
}

/// A line of mountinfo: "41 31 0:38 / /sys/fs/cgroup rw,relatime [...] - cgroup2 cgroup2 rw".
bool read_mount(const std::string& line, const std::string& root, Hierarchy& hierarchy) {
  TextReader words(line);
  std::string word, top, mount, type, source, options;
  if (!(words >> word >> word >> word >> top >> mount)) return false;
  while (words >> word && word != "-") {
  }
  if (!(words >> type >> source >> options)) return false;
  hierarchy.unified = type == "cgroup2";
  if (!hierarchy.unified && (type != "cgroup" || !has_word(options, "cpu"))) return false;
  hierarchy.mount = root + mount;
  hierarchy.group = below(group_in(hierarchy.unified, root), top);
  return true;
}

}  // namespace

int cgroup_limit(const std::string& root) {
  double least = kNone;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    Hierarchy hierarchy;
    if (read_mount(line, root, hierarchy)) least = std::min(least, limit_of(hierarchy));
  }
  return std::isinf(least) ? 0 : static_cast<int>(std::min(std::ceil(least), 1e6));
}

}  // namespace sluice
