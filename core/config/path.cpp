#include "core/config/path.hpp"

#include <cctype>
#include <cstdlib>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

bool starts_variable(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// "NAME" where "$NAME" stands at text[at], else "".
std::string variable_at(const std::string& text, std::size_t at) {
  std::size_t end = at + 1;
  if (end >= text.size() || !starts_variable(text[end])) return "";
  while (end < text.size() && (starts_variable(text[end]) || std::isdigit(static_cast<unsigned char>(text[end])) != 0))
    ++end;
  return text.substr(at + 1, end - at - 1);
}

/// Its value; one that would itself be expanded the next time is told from it by "./".
std::string value_of(const std::string& name, const std::string& path) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0')
    refuse_text(concat("the environment variable ", quoted(name),
                       " is not set; set it, or write the whole path in place of ", quoted(path)));
  return concat(*value == '~' || *value == '$' ? "./" : "", value);
}

}  // namespace

std::string expand_path(const std::string& path) {
  if (starts_with(path, "~")) {
    if (path.size() == 1 || path[1] == '/') return value_of("HOME", path) + path.substr(1);
    refuse_text(concat("the home folder of another user is not looked up: ", quoted(path),
                       "; write the whole path, or ./", path.substr(0, path.find('/')), " for a folder of that name"));
  }
  const std::string name = starts_with(path, "$") ? variable_at(path, 0) : "";
  for (std::size_t at = path.find('$', name.size()); at != std::string::npos; at = path.find('$', at + 1)) {
    const std::string inside = variable_at(path, at);
    if (at > 0 && !inside.empty())
      refuse_text(
          concat("'$", inside, "' stands for a variable only at the beginning of a path; write ${env:", inside, "}"));
  }
  return name.empty() ? path : value_of(name, path) + path.substr(name.size() + 1);
}

}  // namespace sluice
