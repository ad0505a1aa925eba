#include "core/base/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace sluice {
namespace {

/// Of the environment, as POSIX has it; whoever exports it means it for pipes too.
std::optional<int> wanted_columns() {
  const char* const text = std::getenv("COLUMNS");
  if (text == nullptr) return std::nullopt;
  const std::string_view digits = text;
  int columns = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), columns);
  if (error != std::errc() || end != digits.data() + digits.size() || columns <= 0) return std::nullopt;
  return columns;
}

/// 0: not a terminal, or one that does not know.
int reported_columns(int fd) {
  winsize size{};
  return ::isatty(fd) == 1 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

bool is_terminal(int fd) {
  return reported_columns(fd) > 0;
}

std::optional<int> terminal_width(int fd) {
  if (const std::optional<int> wanted = wanted_columns()) return wanted;
  const int columns = reported_columns(fd);
  return columns > 0 ? std::optional(columns) : std::nullopt;
}

}  // namespace sluice
