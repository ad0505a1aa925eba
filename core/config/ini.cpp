// Reads one INI text into sections and entries that know their lines, and writes values so that they read back.
#include "core/config/ini.hpp"

#include <algorithm>
#include <optional>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool starts_comment(char c) {
  return c == '#' || c == ';';
}

/// `text` up to a comment sign that stands at its start or after white space, trimmed.
std::string without_comment(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_comment(text[i]) && (i == 0 || is_blank(text[i - 1]))) return trim(text.substr(0, i));
  }
  return trim(text);
}

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
      read_line(trim(line));
      begin = end + 1;
    }
    return std::move(file_);
  }

 private:
  void error(const std::string& key, const std::string& text) {
    diagnostics_.error({name_, line_}, section_ ? section_->name : "", key, text);
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
      return error("", concat("a section's name ends with ']', got ", quoted(without_comment(line))));
    }
    const std::string rest = line.substr(close + 1);
    if (!trim(rest).empty() && !(is_blank(rest[0]) && starts_comment(trim(rest)[0]))) {
      return error("", concat("unexpected text after ']': ", quoted(trim(rest))));
    }
    const std::string name = trim(line.substr(1, close - 1));
    if (!is_name(name)) {
      return error("",
                   concat("expected a section name of letters, digits, '_', '-' and single dots, got ", quoted(name)));
    }
    skipping_ = false;
    for (IniSection& section : file_.sections) {
      if (section.name != name) continue;
      diagnostics_.error({name_, line_}, name, "",
                         concat("the section stands already in line ", section.line, "; join the two"));
      section_ = &section;
      return;
    }
    file_.sections.push_back({name, line_, {}});
    section_ = &file_.sections.back();
  }

  void read_entry(const std::string& line) {
    if (skipping_) return;
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) {
      return error("", concat("expected 'key = value' or '[section]', got ", quoted(without_comment(line))));
    }
    const std::string key = trim(line.substr(0, equals));
    if (!is_name(key)) {
      return error("", concat("expected a key of letters, digits, '_' and '-' before '=', got ", quoted(key)));
    }
    const std::optional<std::string> value = read_value(key, line.substr(equals + 1));
    if (!value) return;
    if (section_ == nullptr) return read_include(key, *value);
    if (key == "include") return error(key, "includes stand before the first section");
    for (const IniEntry& entry : section_->entries) {
      if (entry.key == key) return error(key, concat("the key stands already in line ", entry.line));
    }
    section_->entries.push_back({key, *value, line_});
  }

  void read_include(const std::string& key, const std::string& value) {
    if (key != "include") {
      return error(key, "the key stands before the first section; only 'include = FILE' may stand there");
    }
    if (value.empty()) return error(key, "expected a file name, got ''");
    file_.includes.push_back({key, value, line_});
  }

  std::optional<std::string> read_value(const std::string& key, const std::string& text) {
    const std::string trimmed = trim(text);
    if (trimmed.empty() || trimmed[0] != '"') return without_comment(text);
    std::string value;
    for (std::size_t i = 1; i < trimmed.size(); ++i) {
      if (trimmed[i] == '"') return end_quotes(key, value, trimmed.substr(i + 1));
      if (trimmed[i] != '\\') {
        value += trimmed[i];
        continue;
      }
      const std::string plain = "\"\\nrt", meaning = "\"\\\n\r\t";
      const std::size_t which = ++i < trimmed.size() ? plain.find(trimmed[i]) : std::string::npos;
      if (which == std::string::npos) {
        error(key, concat("unknown escape ", quoted(trimmed.substr(i - 1, 2)),
                          R"( in a quoted value; known are \" \\ \n \r \t)"));
        return std::nullopt;
      }
      value += meaning[which];
    }
    error(key, concat("the quoted value has no closing '\"': ", quoted(trimmed)));
    return std::nullopt;
  }

  std::optional<std::string> end_quotes(const std::string& key, const std::string& value, const std::string& rest) {
    if (without_comment(rest).empty()) return value;
    error(key, concat("unexpected text after the closing '\"': ", quoted(trim(rest))));
    return std::nullopt;
  }

  const std::string& name_;
  Diagnostics& diagnostics_;
  IniFile file_;
  IniSection* section_ = nullptr;
  bool skipping_ = false;  ///< under a header that could not be read
  int line_ = 0;
};

}  // namespace

IniFile read_ini(const std::string& text, const std::string& name, Diagnostics& diagnostics) {
  return IniReader(name, diagnostics).read(text);
}

std::string ini_value(const std::string& value) {
  const bool plain = !value.empty() && value == trim(value) && value[0] != '"' && value == without_comment(value) &&
                     value.find_first_of("\n\r") == std::string::npos;
  if (plain) return value;
  std::string text = "\"";
  for (char c : value) {
    switch (c) {
      case '"':
        text += "\\\"";
        break;
      case '\\':
        text += "\\\\";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      case '\t':
        text += "\\t";
        break;
      default:
        text += c;
    }
  }
  return text + "\"";
}

}  // namespace sluice
