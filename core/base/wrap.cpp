#include "core/base/wrap.hpp"

#include <algorithm>
#include <exception>
#include <iterator>

#include "core/base/printable.hpp"
#include "core/base/terminal.hpp"

namespace sluice {
namespace {

constexpr std::string_view kUnitNames[] = {"%",    "k",     "M",    "G",       "T",        "ns",   "us",  "ms",
                                           "s",    "min",   "h",    "bytes",   "KiB",      "MiB",  "GiB", "MB/s",
                                           "GB/s", "MiB/s", "bits", "GFLOP/s", "images/s", "times"};

/// A number that may stand behind a bracket or a sign.
bool is_number(std::string_view word) {
  word.remove_prefix(std::min(word.find_first_not_of("([+-~<>="), word.size()));
  return !word.empty() && word.find_first_not_of("0123456789.,e+-") == std::string_view::npos && word.front() != 'e' &&
         word.back() >= '0' && word.back() <= '9';
}

bool is_unit(std::string_view word) {
  word = word.substr(0, word.find_last_not_of(",;:.)]") + 1);
  return std::find(std::begin(kUnitNames), std::end(kUnitNames), word) != std::end(kUnitNames);
}

/// The words on both sides of the space line[at] are a number and its unit: they stay together.
bool joins(std::string_view line, std::size_t at) {
  const std::string_view before = line.substr(0, at), behind = line.substr(at + 1);
  return is_unit(behind.substr(0, behind.find(' '))) && is_number(before.substr(before.rfind(' ') + 1));
}

/// The last space that leaves a line of at most `width` characters before it, else the first one; npos where no words
/// are apart.
std::size_t place_to_break(const std::string& line, std::size_t width) {
  std::size_t place = std::string::npos;
  const std::size_t first = std::min(line.find_first_not_of(' '), line.size());
  for (std::size_t at = line.find(' ', first); at != std::string::npos; at = line.find(' ', at + 1)) {
    if (place != std::string::npos && count_characters(line, at) > width) break;
    if (!joins(line, at)) place = at;
  }
  return place;
}

std::string wrapped_line(std::string line, std::size_t width, int hang) {
  const std::size_t own = std::min(line.find_first_not_of(' '), line.size());
  const std::size_t indent = std::min(hang < 0 ? own + 2 : static_cast<std::size_t>(hang), width / 2);
  std::string text;
  while (count_characters(line, line.size()) > width) {
    const std::size_t place = place_to_break(line, width);
    const std::size_t next = place == std::string::npos ? place : line.find_first_not_of(' ', place);
    if (next == std::string::npos) break;
    text += line.substr(0, line.find_last_not_of(' ', place) + 1) + '\n';
    line = std::string(indent, ' ') + line.substr(next);
  }
  return text + line;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t width, int hang) {
  std::string lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines += wrapped_line(std::string(text.substr(begin, end - begin)), width, hang);
    if (end < text.size()) lines += '\n';
    begin = end + 1;
  }
  return lines;
}

std::string lines_for(int fd, std::string_view text) {
  if (!is_terminal(fd)) return std::string(text);
  return wrapped(text, static_cast<std::size_t>(terminal_width(fd).value_or(1)));
}

WrappingBuffer::WrappingBuffer(std::streambuf& to, int fd) : to_(to), fd_(fd), wraps_(is_terminal(fd)) {}

WrappingBuffer::~WrappingBuffer() {
  try {
    pass(lines_for(fd_, begun_));
  } catch (const std::exception&) {  // no memory for the last bytes
  }
}

WrappingBuffer::int_type WrappingBuffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char byte = traits_type::to_char_type(c);
  return xsputn(&byte, 1) == 1 ? c : traits_type::eof();
}

std::streamsize WrappingBuffer::xsputn(const char* text, std::streamsize size) {
  const std::string_view added(text, static_cast<std::size_t>(size));
  if (!wraps_) return pass(added) ? size : 0;
  begun_ += added;
  const std::size_t end = begun_.rfind('\n') + 1;  // 0: none
  const std::string lines = lines_for(fd_, std::string_view(begun_).substr(0, end));
  begun_.erase(0, end);
  return pass(lines) ? size : 0;
}

bool WrappingBuffer::pass(std::string_view text) {
  const auto size = static_cast<std::streamsize>(text.size());
  return to_.sputn(text.data(), size) == size;
}

}  // namespace sluice
