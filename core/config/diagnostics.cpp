// Collects the errors of a configuration in the order of its files and lines.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/config.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMostErrors = 100;

}  // namespace

std::string to_string(const Source& source) {
  if (source.file.empty()) return "command line";
  return source.line == 0 ? source.file : concat(source.file, ":", source.line);
}

void Diagnostics::note_file(const std::string& file) {
  if (std::find(files_.begin(), files_.end(), file) == files_.end()) files_.push_back(file);
}

Diagnostics::Place Diagnostics::place(const Source& source) {
  if (source.file.empty()) return {SIZE_MAX, 0};
  note_file(source.file);
  const auto found = std::find(files_.begin(), files_.end(), source.file);
  return {static_cast<std::size_t>(found - files_.begin()), source.line};
}

void Diagnostics::error(const Source& source, const std::string& section, const std::string& key,
                        const std::string& text) {
  if (full()) {
    ++more_;
    return;
  }
  std::string line = to_string(source) + ":";
  if (!section.empty()) line += concat(" [", section, "]");
  if (!key.empty()) line += " " + key;
  if (!section.empty() || !key.empty()) line += ":";
  line = one_line(concat(line, " ", text));
  if (std::find(errors_.begin(), errors_.end(), line) != errors_.end()) return;
  const Place where = place(source);
  const auto after = std::upper_bound(places_.begin(), places_.end(), where);
  errors_.insert(errors_.begin() + (after - places_.begin()), line);
  places_.insert(after, where);
}

void Diagnostics::warning(const std::string& text) {
  warnings_.push_back(text);
}

void Diagnostics::note(const std::string& text) {
  if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) notes_.push_back(text);
}

bool Diagnostics::has_errors() const {
  return !errors_.empty();
}

bool Diagnostics::full() const {
  return errors_.size() >= kMostErrors;
}

void Diagnostics::throw_if_errors() const {
  if (!has_errors()) return;
  const std::string more = more_ == 0 ? "" : concat("\nand ", more_, more_ == 1 ? " more mistake" : " more mistakes");
  throw ErrorLines(ExitCode::kUsage, join(errors_, "\n") + more);
}

}  // namespace sluice
