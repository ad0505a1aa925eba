// Small text helpers: trimming, comma lists, numbers, quoting for messages, names that are close.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

/// Without spaces and tabs at both ends.
std::string trim(const std::string& text);
/// The trimmed items of a comma-separated list; no item at all for blank text.
std::vector<std::string> split_list(const std::string& text);
bool contains(const std::vector<std::string>& items, const std::string& item);
/// Throws Error(kUsage) with the reason alone, for a caller who knows where the text stands.
[[noreturn]] void refuse_text(const std::string& why);
std::string join(const std::vector<std::string>& items, const std::string& separator = ", ");
/// So many digits behind the point.
std::string fixed(double value, int digits);
/// With two digits: "0.0082".
std::string two_digits(double value);
/// The shortest text that reads back as the same number.
std::string shortest(double value);
/// 'text' for a message: long text is cut, what a terminal would not show becomes an escape.
std::string quoted(const std::string& text);
bool starts_with(const std::string& text, const std::string& prefix);
bool ends_with(const std::string& text, const std::string& suffix);
/// Letters, digits, '_', '-' and '.', without empty parts between dots.
bool is_name(const std::string& text);

/// "; did you mean 'x'?" where a candidate is close, else "; <list_title>: a, b, c", or "" without candidates.
std::string suggestion(const std::string& word, const std::vector<std::string>& candidates,
                       const std::string& list_title);

/// Prints names and what they mean in two columns, indented by two, wrapped at 100 columns.
void print_columns(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& rows);

}  // namespace sluice
