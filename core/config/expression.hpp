// Integer arithmetic in the place of a name: ${2*width}.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

/// Whether the inside of a `${...}` is an expression and not a name: it has one of * / + ( ) or a minus behind a space.
/// (Names may hold a '-'.)
bool is_expression(const std::string& text);

/// The expression with each name replaced by value_of(name), which must be an integer: Error(kUsage) where it is not.
/// A name that value_of returns unchanged stays.
std::string replace_names(const std::string& text, const std::function<std::string(const std::string& name)>& value_of);

/// The value of an expression of integers, + - * / and parentheses. Throws Error(kUsage) where it is malformed, a
/// division leaves a remainder, or a number does not fit 64 bits.
std::int64_t evaluate(const std::string& text);

}  // namespace sluice
