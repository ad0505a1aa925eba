// Reads one INI text into sections and entries that know their lines, and writes values so that they read back.
#include "core/config/ini.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/config.hpp"
#include "core/config/edits.hpp"
#include "core/config/lookalike.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool starts_comment(char c) {
  return c == '#' || c == ';';
}

/// `text` up to a comment sign that stands at its start or after white space, and not in the quotes of an item,
/// trimmed.
std::string without_comment(const std::string& text) {
  bool item_begins = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_comment(text[i]) && (i == 0 || is_blank(text[i - 1]))) return trim(text.substr(0, i));
    if (text[i] == '"' && item_begins && end_of_quotes(text, i) != std::string::npos) i = end_of_quotes(text, i) - 1;
    item_begins = text[i] == ',' || (item_begins && is_blank(text[i]));
  }
  return trim(text);
}

constexpr std::size_t kMostKeys = 1000;       // of a section
constexpr std::size_t kMostSections = 30000;  // of a file

class IniReader {
 public:
  IniReader(const std::string& name, Diagnostics& diagnostics) : name_(name), diagnostics_(diagnostics) {}

  IniFile read(const std::string& text) {
    std::size_t begin = starts_with(text, "\xEF\xBB\xBF") ? 3 : 0;
    while (begin < text.size()) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      ++line_;
      whole_line_ = line;
      read_line(trim(line));
      begin = end + 1;
    }
    return std::move(file_);
  }

 private:
  void error(const std::string& key, const std::string& text) {
    diagnostics_.error({name_, line_}, section_ ? section_->name : "", key, text);
  }
  /// About a line whose form is wrong: what in it looks right and is not.
  void form_error(const std::string& text) {
    const std::string found = lookalike_in(whole_line_);
    error("", found.empty() ? text : concat(text, " (", found, ")"));
  }

  void read_line(const std::string& line) {
    if (line.empty() || starts_comment(line[0])) return;
    if (line[0] == '[') {
      read_header(line);
    } else {
      read_entry(line);
    }
  }

  void read_header(const std::string& line) {
    section_ = nullptr;
    skipping_ = true;
    const std::size_t close = line.find(']');
    if (close == std::string::npos) {
      return form_error(concat("a section's name ends with ']', got ", quoted(without_comment(line))));
    }
    const std::string rest = line.substr(close + 1);
    if (!trim(rest).empty() && !(is_blank(rest[0]) && starts_comment(trim(rest)[0]))) {
      return form_error(concat("unexpected text after ']': ", quoted(trim(rest))));
    }
    const std::string name = trim(line.substr(1, close - 1));
    if (!is_section_name(name)) {
      return form_error(
          concat("expected a section name of letters, digits, '_', '-' and single dots, got ", quoted(name)));
    }
    if (name.size() > kLongestName) return error("", concat("a name has at most ", kLongestName, " characters"));
    if (file_.sections.size() == kMostSections && places_.count(name) == 0)
      return error("", concat("the file has more than ", kMostSections, " sections"));
    skipping_ = false;
    const auto [known, is_new] = places_.emplace(name, file_.sections.size());
    if (!is_new) {
      section_ = &file_.sections[known->second];
      diagnostics_.error({name_, line_}, name, "",
                         concat("the section stands already in line ", section_->line, "; join the two"));
      return;
    }
    file_.sections.push_back({name, line_, {}});
    section_ = &file_.sections.back();
  }

  void read_entry(const std::string& line) {
    if (skipping_) return;
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) {
      return form_error(concat("expected 'key = value' or '[section]', got ", quoted(without_comment(line))));
    }
    const std::string key = trim(line.substr(0, equals));
    if (!is_name(key)) {
      return form_error(concat("expected a key of letters, digits, '_' and '-' before '=', got ", quoted(key)));
    }
    if (key.size() > kLongestName) return error("", concat("a name has at most ", kLongestName, " characters"));
    std::optional<IniEntry> entry = read_value(key, line.substr(equals + 1));
    if (!entry) return;
    if (section_ == nullptr) return read_include(*entry);
    if (key == "include") return error(key, "includes stand before the first section");
    if (section_->entries.size() == kMostKeys) {
      skipping_ = true;
      return error("", concat("the section has more than ", kMostKeys, " keys"));
    }
    for (const IniEntry& other : section_->entries) {
      if (other.key == key) return error(key, concat("the key stands already in line ", other.line));
    }
    section_->entries.push_back(std::move(*entry));
  }

  void read_include(const IniEntry& entry) {
    if (entry.key != "include") {
      return error(entry.key, "the key stands before the first section; only 'include = FILE' may stand there");
    }
    if (entry.value.empty()) return error(entry.key, "expected a file name, got ''");
    file_.includes.push_back(entry);
  }

  std::optional<IniEntry> read_value(const std::string& key, const std::string& text) {
    const std::string trimmed = trim(text);
    if (trimmed.empty() || trimmed[0] != '"') return plain_value(key, without_comment(text));
    std::size_t end = 0;
    try {
      const std::string value = read_quoted(trimmed, end);
      const std::string rest = without_comment(trimmed.substr(end));
      if (rest.empty()) return IniEntry{key, value, line_, value.empty() ? ValueForm::kPlain : ValueForm::kQuoted};
      if (rest[0] == ',') return IniEntry{key, without_comment(trimmed), line_, ValueForm::kItems};
      error(key, concat("unexpected text after the closing '\"': ", quoted(trim(trimmed.substr(end)))));
    } catch (const Error& problem) {
      error(key, problem.what());
    }
    return std::nullopt;
  }

  std::optional<IniEntry> plain_value(const std::string& key, const std::string& value) {
    const std::optional<std::size_t> found = lookalike_around(value);
    if (!found) return IniEntry{key, value, line_, ValueForm::kPlain};
    const std::size_t begin = whole_line_.find(value, whole_line_.find('=') + 1);
    error(key, concat("the value ", quoted(value), " has ", describe_lookalike(whole_line_, begin + *found, "column"),
                      ", or put the value in double quotes"));
    return std::nullopt;
  }

  const std::string& name_;
  Diagnostics& diagnostics_;
  IniFile file_;
  std::map<std::string, std::size_t> places_;  ///< of the sections in file_
  IniSection* section_ = nullptr;
  bool skipping_ = false;  ///< under a header that could not be read
  int line_ = 0;
  std::string whole_line_;
};

}  // namespace

IniFile read_ini(const std::string& text, const std::string& name, Diagnostics& diagnostics) {
  return IniReader(name, diagnostics).read(text);
}

std::string ini_value(const std::string& value) {
  const bool plain = !value.empty() && value == trim(value) && value[0] != '"' && value == without_comment(value) &&
                     value == one_line(value) && !lookalike_around(value);
  return plain ? value : in_quotes(value);
}

}  // namespace sluice
