// Prints the documentation of a section's keys.
#include <algorithm>
#include <ostream>
#include <sstream>

#include "core/base/error.hpp"
#include "core/config/keys.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kWidestName = 24;

/// "Images in one step (integer, at least 1; default 128)".
std::string description(const KeyDoc& doc) {
  std::string facts = doc.type;
  if (!doc.allowed.empty()) facts += ", " + doc.allowed;
  if (doc.required) {
    facts += "; required";
  } else if (!doc.default_value.empty()) {
    facts += "; default " + doc.default_value;
  }
  return concat(doc.doc, doc.doc.empty() ? "(" : " (", facts, ")");
}

/// Prints the words of `text` from column `column` on, where the line stands at the first one already.
void print_wrapped(std::ostream& out, const std::string& text, std::size_t column) {
  std::istringstream words(text);
  std::size_t at = column;
  for (std::string word; words >> word;) {
    if (at > column && at + 1 + word.size() > kColumns) {
      out << "\n" << std::string(column, ' ');
      at = column;
    } else if (at > column) {
      out << ' ';
      ++at;
    }
    out << word;
    at += word.size();
  }
  out << "\n";
}

}  // namespace

void print_docs(std::ostream& out, const std::string& section, const std::vector<KeyDoc>& docs) {
  std::size_t width = 0;
  for (const KeyDoc& doc : docs) width = std::max(width, std::min(doc.name.size(), kWidestName));
  const std::size_t column = 2 + width + 2;
  out << "[" << section << "]\n";
  for (const KeyDoc& doc : docs) {
    out << "  " << doc.name;
    if (doc.name.size() > width) {
      out << "\n" << std::string(column, ' ');
    } else {
      out << std::string(width - doc.name.size() + 2, ' ');
    }
    print_wrapped(out, description(doc), column);
  }
}

}  // namespace sluice
