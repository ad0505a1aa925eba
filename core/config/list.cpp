#include "core/config/list.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/ini.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// `digits` hexadecimal digits at text[at].
char32_t hexadecimal(const std::string& text, std::size_t at, std::size_t digits) {
  const std::string number = text.substr(at, digits);
  const bool valid = number.size() == digits && number.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  const char32_t value = valid ? static_cast<char32_t>(std::stoul(number, nullptr, 16)) : 0;
  if (value == 0 || (value >= 0xD800 && value < 0xE000))
    refuse_text(
        concat("expected ", digits, " hexadecimal digits of a character behind ", quoted(text.substr(at - 2, 2))));
  return value;
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&text](char32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

/// Appends what the escape at text[at], a backslash, stands for; returns the position behind it.
std::size_t read_escape(const std::string& text, std::size_t at, std::string& value) {
  const std::string plain = "\"\\nrt", meaning = "\"\\\n\r\t";
  const char name = at + 1 < text.size() ? text[at + 1] : '\0';
  if (name == 'x') {
    value += static_cast<char>(hexadecimal(text, at + 2, 2));
    return at + 4;
  }
  if (name == 'u') {
    append_utf8(value, hexadecimal(text, at + 2, 4));
    return at + 6;
  }
  const std::size_t which = name == '\0' ? std::string::npos : plain.find(name);
  if (which == std::string::npos) {
    refuse_text(concat("unknown escape ", quoted(text.substr(at, 2)),
                       R"( in a quoted value; known are \" \\ \n \r \t \xHH \uHHHH)"));
  }
  value += meaning[which];
  return at + 2;
}

}  // namespace

std::string read_quoted(const std::string& text, std::size_t& at) {
  const std::size_t begin = at;
  std::string value;
  for (++at; at < text.size();) {
    if (text[at] == '"') {
      ++at;
      return value;
    }
    if (text[at] == '\\')
      at = read_escape(text, at, value);
    else
      value += text[at++];
  }
  refuse_text(concat("the quoted value has no closing '\"': ", quoted(text.substr(begin))));
}

std::string in_quotes(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return '"' + one_line(escaped) + '"';
}

std::size_t end_of_quotes(const std::string& text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return std::string::npos;
}

std::vector<std::string> parse_list(const std::string& text) {
  std::vector<std::string> items;
  if (trim(text).empty()) return items;
  for (std::size_t begin = 0;;) {
    begin = std::min(text.find_first_not_of(" \t", begin), text.size());
    std::size_t end = begin;
    std::string item;
    if (begin < text.size() && text[begin] == '"') item = read_quoted(text, end);
    const std::size_t comma = text.find(',', end);
    const std::string rest = trim(text.substr(end, comma - end));
    if (end > begin && !rest.empty()) refuse_text(concat("unexpected text after the closing '\"': ", quoted(rest)));
    items.push_back(end > begin ? item : rest);
    if (comma == std::string::npos) return items;
    begin = comma + 1;
  }
}

std::vector<std::string> list_or_item(const std::string& text) try { return parse_list(text); } catch (const Error&) {
  return {text};
}

std::string list_text(const std::vector<std::string>& items) {
  std::vector<std::string> written;
  for (const std::string& item : items) {
    const bool plain = ini_value(item) == item && item.find(',') == std::string::npos;
    written.push_back(plain ? item : in_quotes(item));
  }
  return join(written);
}

}  // namespace sluice
