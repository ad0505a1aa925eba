#include "core/base/status_line.hpp"

#include <algorithm>
#include <string_view>

#include "core/base/printable.hpp"

namespace sluice {
namespace {

const std::string& said(const LinePart& part, bool brief) {
  return brief && !part.brief.empty() ? part.brief : part.text;
}

/// Characters of the part, or what is kept for it.
std::size_t width_of(const LinePart& part, bool brief) {
  const std::string& text = said(part, brief);
  const bool briefly = brief && (part.text.empty() || !part.brief.empty());
  return std::max(count_characters(text, text.size()), briefly ? part.kept_brief : part.kept);
}

/// Characters of the line, and of what is kept for its parts.
std::size_t taken(const std::vector<LinePart>& parts, bool brief, std::size_t separator) {
  std::size_t sum = 0;
  for (const LinePart& part : parts) {
    const std::size_t width = width_of(part, brief);
    if (width > 0) sum += width + (sum == 0 ? 0 : separator);
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

std::size_t line_width(const std::vector<LinePart>& all, const char* separator) {
  return taken(all, false, std::string_view(separator).size());
}

void KeptRoom::keep(std::vector<LinePart>& parts) {
  widest_.resize(std::max(widest_.size(), parts.size()));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    LinePart& widest = widest_[i];
    widest.kept = parts[i].kept = std::max(widest.kept, width_of(parts[i], false));
    widest.kept_brief = parts[i].kept_brief = std::max(widest.kept_brief, width_of(parts[i], true));
  }
}

}  // namespace sluice
