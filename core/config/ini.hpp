// Reads one INI text into sections and entries that know their lines, and writes values so that they read back.
#pragma once

#include <string>
#include <vector>

#include "core/config/list.hpp"

namespace sluice {

class Diagnostics;

/// Characters in the name of a section, a key or a layer.
constexpr std::size_t kLongestName = 1000;

struct IniEntry {
  std::string key;
  std::string value;  ///< without quotes and comment; `${...}` still in place
  int line = 0;
  ValueForm form = ValueForm::kPlain;
};

struct IniSection {
  std::string name;
  int line = 0;
  std::vector<IniEntry> entries;
};

struct IniFile {
  std::vector<IniEntry> includes;  ///< the values of the `include` lines, which stand before the first section
  std::vector<IniSection> sections;
};

/// Reads `[section]` and `key = value` lines. Comments start with `#` or `;` at the start of a line or after white
/// space. A value that starts with a double quote ends at the next one (see read_quoted), or is a list whose items have
/// quotes. Takes CRLF, a UTF-8 byte order mark, a missing final newline and indentation. Malformed lines, repeated
/// sections and repeated keys, more keys or sections than anybody has, and characters that only look like blanks or
/// quotes are reported and skipped; `name` stands in messages.
IniFile read_ini(const std::string& text, const std::string& name, Diagnostics& diagnostics);

/// `value` as it must be written after "key = " to be read back unchanged: in double quotes where that is needed.
std::string ini_value(const std::string& value);

}  // namespace sluice
