// Lists in values: items separated by commas, in double quotes where they hold one.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// How a value stood in its file.
enum class ValueForm {
  kPlain,   ///< as it is
  kQuoted,  ///< in quotes as a whole, which are gone: in a list a single item
  kItems    ///< begins with a quoted item of several; as it stood
};

/// The text in double quotes that begins at text[at]; `at` moves behind the closing quote. It may hold \" \\ \n \r \t,
/// \xHH (a byte) and \uHHHH. Throws Error(kUsage) with the reason alone.
std::string read_quoted(const std::string& text, std::size_t& at);
/// `text` in double quotes, as read_quoted reads it: hidden characters and bytes that are no UTF-8 as escapes.
std::string in_quotes(const std::string& text);
/// The position behind the quotes that begin at text[at], or npos where they do not end.
std::size_t end_of_quotes(const std::string& text, std::size_t at);

/// The items of a list: trimmed, or what stands in the double quotes that they begin with; none for blank text. Throws
/// Error(kUsage) with the reason alone.
std::vector<std::string> parse_list(const std::string& text);
/// The same; what cannot be a list is a single item.
std::vector<std::string> list_or_item(const std::string& text);
/// Text that parse_list and the INI reader read back as these items.
std::string list_text(const std::vector<std::string>& items);

}  // namespace sluice
