// Integer arithmetic in the place of a name: ${2*width}.
#include "core/config/expression.hpp"

#include <cctype>
#include <charconv>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool continues_name(char c) {
  return starts_name(c) || is_digit(c) || c == '-' || c == '.';
}

bool is_integer(const std::string& text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

/// Recursive descent: sum = product {(+|-) product}, product = factor {(*|/) factor}, factor = integer | - factor |
/// ( sum ).
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  std::int64_t run() {
    const std::int64_t value = sum();
    if (next() != '\0') fail(concat("expected + - * or /, got ", quoted(text_.substr(at_))));
    return value;
  }

 private:
  static constexpr int kDeepest = 100;

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ExitCode::kUsage, concat("cannot compute ", quoted(text_), ": ", why));
  }

  /// The next character that is not a space, or '\0' at the end.
  char next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  std::int64_t plus(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_add_overflow(a, b, &result)) fail("the result is too large");
    return result;
  }
  std::int64_t minus(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_sub_overflow(a, b, &result)) fail("the result is too large");
    return result;
  }
  std::int64_t times(std::int64_t a, std::int64_t b) const {
    std::int64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) fail("the result is too large");
    return result;
  }
  std::int64_t quotient(std::int64_t a, std::int64_t b) const {
    if (b == 0) fail("division by zero");
    if (b == -1) return minus(0, a);
    if (a % b != 0) fail(concat(a, " / ", b, " leaves a remainder"));
    return a / b;
  }

  std::int64_t sum() {
    std::int64_t value = product();
    for (char op = next(); op == '+' || op == '-'; op = next()) {
      ++at_;
      value = op == '+' ? plus(value, product()) : minus(value, product());
    }
    return value;
  }

  std::int64_t product() {
    std::int64_t value = factor();
    for (char op = next(); op == '*' || op == '/'; op = next()) {
      ++at_;
      value = op == '*' ? times(value, factor()) : quotient(value, factor());
    }
    return value;
  }

  std::int64_t factor() {
    const char c = next();
    if (is_digit(c)) return integer();
    if (c != '(' && c != '-') {
      const std::string rest = text_.substr(at_);
      fail(concat("expected a number or a name, got ", rest.empty() ? "nothing" : quoted(rest)));
    }
    if (++depth_ > kDeepest) fail("too many parentheses or signs");
    ++at_;
    std::int64_t value = c == '(' ? sum() : factor();
    if (c == '(' && next() != ')') fail("')' is missing");
    if (c == '(') ++at_;
    if (c == '-') value = minus(0, value);
    --depth_;
    return value;
  }

  std::int64_t integer() {
    std::int64_t value = 0;
    const char* const begin = text_.data() + at_;
    const auto parsed = std::from_chars(begin, text_.data() + text_.size(), value);
    if (parsed.ec != std::errc()) fail("the result is too large");
    at_ += static_cast<std::size_t>(parsed.ptr - begin);
    return value;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

bool is_expression(const std::string& text) {
  return text.find_first_of("*/+()") != std::string::npos || text.find(" -") != std::string::npos;
}

std::string replace_names(const std::string& text,
                          const std::function<std::string(const std::string& name)>& value_of) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (!starts_name(text[i])) {
      result += text[i++];
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && continues_name(text[end])) ++end;
    const std::string name = text.substr(i, end - i);
    const std::string value = value_of(name);
    if (value != name && !is_integer(value)) {
      throw Error(ExitCode::kUsage,
                  concat("cannot compute ", quoted(text), ": ", name, " is ", quoted(value), ", not an integer"));
    }
    result += value != name && value[0] == '-' ? concat("(", value, ")") : value;
    i = end;
  }
  return result;
}

std::int64_t evaluate(const std::string& text) {
  return Parser(text).run();
}

}  // namespace sluice
