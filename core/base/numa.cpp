// Which NUMA nodes processors belong to, and lists of numbers as the system writes them.
#include <algorithm>
#include <fstream>

#include "core/base/directory.hpp"
#include "core/base/error.hpp"
#include "core/base/processors.hpp"

namespace sluice {

std::string number_list(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += concat(text.empty() ? "" : ",", numbers[i]);
    if (last > i) text += concat("-", numbers[last]);
    i = last + 1;
  }
  return text;
}

std::vector<std::int64_t> parse_number_list(const std::string& text) {
  constexpr std::int64_t kMost = 1 << 16;  // of a range
  std::vector<std::int64_t> numbers;
  TextReader in(text);
  for (std::int64_t first = 0; in >> first;) {
    std::int64_t last = first;
    if (in.peek() == '-' && !(in.ignore() >> last)) break;
    for (std::int64_t i = first; i <= std::min(last, first + kMost); ++i) numbers.push_back(i);
    if (in.peek() != ',') break;
    in.ignore();
  }
  return numbers;
}

std::vector<std::int64_t> numa_nodes(const std::vector<std::int64_t>& processors, const std::string& root) {
  const std::string folder = root + "/sys/devices/system/node";
  std::error_code ignored;
  std::vector<std::int64_t> nodes;
  for (const std::string& name : names_in(folder, ignored)) {
    const std::vector<std::int64_t> number = parse_number_list(name.rfind("node", 0) == 0 ? name.substr(4) : "");
    std::ifstream file(folder + "/" + name + "/cpulist");
    std::string text;
    if (number.size() != 1 || !std::getline(file, text)) continue;
    const std::vector<std::int64_t> here = parse_number_list(text);
    if (std::find_first_of(here.begin(), here.end(), processors.begin(), processors.end()) != here.end())
      nodes.push_back(number[0]);
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

}  // namespace sluice
