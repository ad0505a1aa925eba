// Prints the documentation of a section's keys.
#include <ostream>

#include "core/base/error.hpp"
#include "core/config/keys.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

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

}  // namespace

void print_docs(std::ostream& out, const std::string& section, const std::vector<KeyDoc>& docs,
                const std::string& about) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const KeyDoc& doc : docs) rows.emplace_back(doc.name, description(doc));
  out << "[" << section << "]" << (about.empty() ? "" : " ") << about << "\n";
  print_columns(out, rows);
}

}  // namespace sluice
