// Text from files as it may stand on a terminal: nothing that moves the cursor, hides or reorders what is read.
#pragma once

#include <cstdint>
#include <optional>
#include <streambuf>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace sluice {

/// An error whose text is several lines, each of them made by one_line(); all others are printed in one.
class ErrorLines : public Error {
  using Error::Error;
};

/// One character of UTF-8 text: its code point, nothing for a byte that belongs to none, and how many bytes it takes.
struct Character {
  std::optional<char32_t> code;
  std::size_t bytes = 1;
};
/// The character at text[at]; overlong forms, surrogates and cut sequences are no characters.
Character character_at(std::string_view text, std::size_t at);

/// The number of characters that begin before text[end].
std::size_t count_characters(std::string_view text, std::size_t end);

/// A control character (of C0 or C1, line ends and tabs included), or one that hides or reorders others: directions,
/// separators of lines and paragraphs, and marks without width.
bool is_hidden(char32_t code);

/// Each hidden character of `text` as \xHH (below 128) or \uHHHH, bytes that are no UTF-8 as \xHH; line ends and tabs
/// stay. DEL becomes \u007f, so that JSON text stays JSON.
std::string printable(std::string_view text);
/// The same with line ends and tabs as \n, \r and \t: for a name inside a line.
std::string one_line(std::string_view text);
/// Bytes that are no UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// Passes what is written to another buffer as printable() shows it.
class PrintableBuffer : public std::streambuf {
 public:
  explicit PrintableBuffer(std::streambuf& to) : to_(to) {}

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  std::streambuf& to_;
  std::string cut_;  ///< the first bytes of a character whose others did not come yet
};

}  // namespace sluice
