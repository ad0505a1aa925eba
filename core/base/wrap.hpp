// Lines that fit the terminal they are read on.
#pragma once

#include <streambuf>
#include <string>
#include <string_view>

namespace sluice {

/// `text` with every line that has more than `width` characters broken at spaces. What goes on is indented by `hang`, a
/// negative one: by two more than its line. A word that is wider stays whole.
std::string wrapped(std::string_view text, std::size_t width, int hang = -1);

/// `text` as whoever reads a descriptor sees it: wrapped() at the width of a terminal, and as it is elsewhere.
std::string lines_for(int fd, std::string_view text);

/// Passes whole lines to another buffer as lines_for() has them; the last one when it ends or the buffer does.
class WrappingBuffer : public std::streambuf {
 public:
  WrappingBuffer(std::streambuf& to, int fd);
  ~WrappingBuffer() override;
  WrappingBuffer(const WrappingBuffer&) = delete;
  WrappingBuffer& operator=(const WrappingBuffer&) = delete;

  /// From now on lines stay as they are: they are read by programs.
  void stop() { wraps_ = false; }

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override { return to_.pubsync(); }

 private:
  bool pass(std::string_view text);

  std::streambuf& to_;
  const int fd_;
  bool wraps_;
  std::string begun_;  ///< a line whose end did not come yet
};

}  // namespace sluice
