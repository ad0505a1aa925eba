#include "core/base/printable.hpp"

#include <algorithm>
#include <cstdio>

namespace sluice {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

/// The bytes of the character that begins with `first`; 0 where none does.
std::size_t announced_bytes(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

std::string escaped(const char* format, unsigned value) {
  char text[16];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// `text` character by character; `show` turns those that are hidden or no UTF-8 into something else.
template <class Show>
std::string replaced(std::string_view text, const Show& show) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const std::string_view bytes = text.substr(at, character.bytes);
    if (character.code && !is_hidden(*character.code))
      result += bytes;
    else
      result += show(character, bytes);
    at += character.bytes;
  }
  return result;
}

std::string escape(const Character& character, std::string_view bytes) {
  if (!character.code || *character.code < 0x20) return escaped("\\x%02x", static_cast<unsigned char>(bytes.front()));
  return escaped("\\u%04x", static_cast<unsigned>(*character.code));
}

}  // namespace

Character character_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t bytes = announced_bytes(first);
  if (bytes == 0 || at + bytes > text.size()) return {};
  if (bytes == 1) return {char32_t{first}, 1};
  char32_t code = first & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!continues(text[at + i])) return {};
    code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kSmallest[bytes] || surrogate || code > 0x10FFFF) return {};
  return {code, bytes};
}

std::size_t count_characters(std::string_view text, std::size_t end) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < std::min(end, text.size()); at += character_at(text, at).bytes) ++count;
  return count;
}

bool is_hidden(char32_t code) {
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return true;
  constexpr std::pair<char32_t, char32_t> kHidden[] = {{0x61C, 0x61C},   {0x200B, 0x200B}, {0x200E, 0x200F},
                                                       {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}};
  return std::any_of(std::begin(kHidden), std::end(kHidden),
                     [code](const auto& range) { return code >= range.first && code <= range.second; });
}

std::string printable(std::string_view text) {
  return replaced(text, [](const Character& character, std::string_view bytes) {
    return bytes == "\n" || bytes == "\t" ? std::string(bytes) : escape(character, bytes);
  });
}

std::string one_line(std::string_view text) {
  return replaced(text, [](const Character& character, std::string_view bytes) -> std::string {
    if (bytes == "\n") return "\\n";
    if (bytes == "\r") return "\\r";
    return bytes == "\t" ? "\\t" : escape(character, bytes);
  });
}

std::string valid_utf8(std::string_view text) {
  return replaced(text, [](const Character& character, std::string_view bytes) {
    return std::string(character.code ? bytes : kReplacement);
  });
}

PrintableBuffer::int_type PrintableBuffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char byte = traits_type::to_char_type(c);
  return xsputn(&byte, 1) == 1 ? c : traits_type::eof();
}

std::streamsize PrintableBuffer::xsputn(const char* text, std::streamsize size) {
  std::string whole = cut_ + std::string(text, static_cast<std::size_t>(size));
  // A character may be cut between two writes.
  std::size_t last = whole.size();
  while (last > 0 && whole.size() - last < 3 && continues(whole[last - 1])) --last;
  const std::size_t begin = last == 0 ? 0 : last - 1;
  const bool cut = last > 0 && begin + announced_bytes(static_cast<unsigned char>(whole[begin])) > whole.size();
  cut_ = cut ? whole.substr(begin) : "";
  whole.resize(whole.size() - cut_.size());
  const std::string shown = printable(whole);
  return to_.sputn(shown.data(), static_cast<std::streamsize>(shown.size())) ==
                 static_cast<std::streamsize>(shown.size())
             ? size
             : 0;
}

int PrintableBuffer::sync() {
  const std::string rest = printable(cut_);
  cut_.clear();
  if (to_.sputn(rest.data(), static_cast<std::streamsize>(rest.size())) != static_cast<std::streamsize>(rest.size()))
    return -1;
  return to_.pubsync();
}

}  // namespace sluice
