#include "core/base/status_line.hpp"

#include <algorithm>

#include "core/base/printable.hpp"

namespace sluice {
namespace {

std::string joined(const std::vector<LinePart>& parts, bool brief, const char* separator) {
  std::string line;
  for (const LinePart& part : parts) {
    const std::string& text = brief && !part.brief.empty() ? part.brief : part.text;
    if (text.empty()) continue;
    if (!line.empty()) line += brief ? " " : separator;
    line += text;
  }
  return line;
}

}  // namespace

std::string fitting_line(const std::vector<LinePart>& all, std::size_t room, const char* separator) {
  const auto less = [](const LinePart& a, const LinePart& b) { return a.importance < b.importance; };
  for (const bool brief : {false, true}) {
    for (std::vector<LinePart> parts = all;;) {
      const std::string line = joined(parts, brief, separator);
      if (count_characters(line, line.size()) <= room || parts.size() < 2) return line;
      const auto least = std::min_element(parts.begin(), parts.end(), less);
      if (!brief && least->importance >= LinePart::kSpare) break;
      parts.erase(least);
    }
  }
  return {};
}

}  // namespace sluice
