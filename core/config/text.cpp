// Small text helpers of the configuration: trimming, comma lists, quoting for messages, names that are close.
#include "core/config/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <iomanip>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/terminal.hpp"
#include "core/base/text_stream.hpp"
#include "core/base/wrap.hpp"
#include "core/config/config.hpp"
#include "core/config/paragraph.hpp"

namespace sluice {
namespace {

constexpr int kMostColumns = 100, kLeastColumns = 40;
constexpr std::size_t kWidestName = 28;

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other, in optimal string alignment.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> d((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) d[i * width] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = d[(i - 1) * width + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      std::size_t best = std::min({d[(i - 1) * width + j] + 1, d[i * width + j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best = std::min(best, d[(i - 2) * width + j - 2] + 1);
      }
      d[i * width + j] = best;
    }
  }
  return d.back();
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::size_t text_columns() {
  return static_cast<std::size_t>(
      std::clamp(terminal_width(STDOUT_FILENO).value_or(kMostColumns), kLeastColumns, kMostColumns));
}

/// Prints the words of `text` from column `column` on, where the line stands at the first one already.
void print_wrapped(std::ostream& out, const std::string& text, std::size_t column) {
  const std::string line = std::string(column, ' ') + text;
  out << wrapped(line, text_columns(), static_cast<int>(column)).substr(column) << "\n";
}

}  // namespace

std::string trim(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool contains(const std::vector<std::string>& items, const std::string& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

void refuse_text(const std::string& why) {
  throw Error(ExitCode::kUsage, why);
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  if (trim(text).empty()) return items;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = text.find(',', begin);
    items.push_back(trim(text.substr(begin, comma - begin)));
    if (comma == std::string::npos) return items;
    begin = comma + 1;
  }
}

std::string join(const std::vector<std::string>& items, const std::string& separator) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : separator) + item;
  return text;
}

std::string fixed(double value, int digits) {
  TextWriter text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::string two_digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2g", value);
  constexpr double kWhole = 99.5;
  return value >= kWhole && value < 1e6 ? fixed(std::strtod(text, nullptr), 0) : text;
}

std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string quoted(const std::string& text) {
  constexpr std::size_t kLongest = 80;
  std::string shown = text;
  if (text.size() > kLongest) {
    std::size_t end = kLongest - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
    shown = text.substr(0, end) + "...";
  }
  return "'" + one_line(shown) + "'";
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool is_name(const std::string& text) {
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  if (text.find("..") != std::string::npos) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

std::string nearest_match(const std::string& word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongest = 200;  // nobody misspells longer names, and distances cost their square
  std::string best;
  std::size_t best_distance = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    if (std::max(word.size(), candidate.size()) > kLongest) continue;
    const std::size_t distance = edit_distance(lower(word), lower(candidate));
    const std::size_t limit = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (distance > limit || (distance > 0 && distance >= std::min(word.size(), candidate.size()))) continue;
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& candidates,
                       const std::string& list_title) {
  const std::string nearest = nearest_match(word, candidates);
  if (!nearest.empty()) return concat("; did you mean '", nearest, "'?");
  constexpr std::size_t kMost = 100;
  if (candidates.empty()) return "";
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(std::min(kMost, candidates.size()));
  return concat("; ", list_title, ": ", join({candidates.begin(), end}), candidates.size() > kMost ? ", ..." : "");
}

void print_paragraph(std::ostream& out, const std::string& text) {
  print_wrapped(out, text, 0);
}

void print_columns(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& [name, text] : rows) width = std::max(width, std::min(name.size(), kWidestName));
  const std::size_t column = 2 + width + 2;
  for (const auto& [name, text] : rows) {
    out << "  " << name;
    if (name.size() > width) {
      out << "\n" << std::string(column, ' ');
    } else {
      out << std::string(width - name.size() + 2, ' ');
    }
    print_wrapped(out, text, column);
  }
}

}  // namespace sluice
