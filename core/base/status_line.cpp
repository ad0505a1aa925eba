#include "core/base/status_line.hpp"

#include <algorithm>
#include <string_view>

#include "core/base/printable.hpp"

namespace sluice {
namespace {

const std::string& said(const LinePart& part, bool brief) {
  return brief && !part.brief.empty() ? part.brief : part.text;
}

/// Characters of the line, and of what is kept for its parts.
std::size_t taken(const std::vector<LinePart>& parts, bool brief, std::size_t separator) {
  std::size_t sum = 0;
  for (const LinePart& part : parts) {
    const std::string& text = said(part, brief);
    if (text.empty()) continue;
    const std::size_t kept = &text == &part.brief ? part.kept_brief : part.kept;
    sum += std::max(count_characters(text, text.size()), kept) + (sum == 0 ? 0 : separator);
  }
  return sum;
}

std::string joined(const std::vector<LinePart>& parts, bool brief, const char* separator) {
  std::string line;
  for (const LinePart& part : parts) {
    const std::string& text = said(part, brief);
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
      const std::size_t between = brief ? 1 : std::string_view(separator).size();
      if (taken(parts, brief, between) <= room || parts.size() < 2) return joined(parts, brief, separator);
      const auto least = std::min_element(parts.begin(), parts.end(), less);
      if (!brief && least->importance >= LinePart::kSpare) break;
      parts.erase(least);
    }
  }
  return {};
}

}  // namespace sluice
