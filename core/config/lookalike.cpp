#include "core/config/lookalike.hpp"

#include <algorithm>
#include <cstdio>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

enum class Kind { kSpace, kNoWidth, kQuote, kDash, kFullWidth };

struct Lookalike {
  char32_t first, last;
  Kind kind;
  const char* name;
  const char* advice;
};

constexpr Lookalike kLookalikes[] = {
    {0xA0, 0xA0, Kind::kSpace, "a no-break space", "use a plain space"},
    {0x2000, 0x200A, Kind::kSpace, "a typographic space", "use a plain space"},
    {0x202F, 0x202F, Kind::kSpace, "a narrow no-break space", "use a plain space"},
    {0x205F, 0x205F, Kind::kSpace, "a typographic space", "use a plain space"},
    {0x3000, 0x3000, Kind::kSpace, "a full-width space", "use a plain space"},
    {0x200B, 0x200B, Kind::kNoWidth, "a character without width", "remove it"},
    {0x2060, 0x2060, Kind::kNoWidth, "a character without width", "remove it"},
    {0xFEFF, 0xFEFF, Kind::kNoWidth, "a byte order mark", "remove it"},
    {0x2018, 0x201B, Kind::kQuote, "a typographic quote", "use '\"' or none"},
    {0x201C, 0x201F, Kind::kQuote, "a typographic quote", "use '\"' or none"},
    {0xAB, 0xAB, Kind::kQuote, "a typographic quote", "use '\"' or none"},
    {0xBB, 0xBB, Kind::kQuote, "a typographic quote", "use '\"' or none"},
    {0x2010, 0x2012, Kind::kDash, "a typographic hyphen", "use '-'"},
    {0x2013, 0x2013, Kind::kDash, "an en dash", "use '-'"},
    {0x2014, 0x2015, Kind::kDash, "an em dash", "use '-', or '--' before a name"},
    {0x2212, 0x2212, Kind::kDash, "a minus sign", "use '-'"},
    {0xFF01, 0xFF5E, Kind::kFullWidth, "a full-width character", ""},
};

const Lookalike* find(const Character& character) {
  const auto found =
      std::find_if(std::begin(kLookalikes), std::end(kLookalikes), [&character](const Lookalike& candidate) {
        return character.code && *character.code >= candidate.first && *character.code <= candidate.last;
      });
  return found == std::end(kLookalikes) ? nullptr : found;
}

}  // namespace

std::string describe_lookalike(const std::string& text, std::size_t at, const char* place) {
  const Character character = character_at(text, at);
  const Lookalike& found = *find(character);
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(*character.code));
  // Full-width forms stand in the order of ASCII.
  const std::string advice = found.kind == Kind::kFullWidth
                                 ? concat("use '", static_cast<char>(*character.code - 0xFF01 + '!'), "'")
                                 : std::string(found.advice);
  return concat(found.name, " (", code, ") at ", place, " ", count_characters(text, at) + 1, "; ", advice);
}

std::string lookalike_in(const std::string& text, const char* place) {
  for (std::size_t at = 0; at < text.size(); at += character_at(text, at).bytes) {
    if (find(character_at(text, at)) != nullptr) return describe_lookalike(text, at, place);
  }
  return "";
}

std::optional<std::size_t> lookalike_around(const std::string& value) {
  for (std::size_t at = 0; at < value.size();) {
    const Character character = character_at(value, at);
    const std::size_t end = at + character.bytes;
    const Lookalike* const found = find(character);
    const bool space = found != nullptr && found->kind == Kind::kSpace;
    const bool edge = at == 0 || end == value.size();
    const bool before_comment = end < value.size() && (value[end] == '#' || value[end] == ';');
    if (found != nullptr && (found->kind == Kind::kNoWidth || (space && before_comment) ||
                             (edge && (space || found->kind == Kind::kQuote)))) {
      return at;
    }
    at = end;
  }
  return std::nullopt;
}

}  // namespace sluice
