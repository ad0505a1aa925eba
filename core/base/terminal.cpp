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

}  // namespace

std::optional<int> terminal_width(int fd) {
  if (const std::optional<int> wanted = wanted_columns()) return wanted;
  if (::isatty(fd) != 1) return std::nullopt;
  constexpr int kUsual = 80;
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

}  // namespace sluice
