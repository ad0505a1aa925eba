// Messages of a run: to the console for whoever watches, and with time stamps to the run directory's log file.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "core/base/status_line.hpp"

namespace sluice {

/// Writes whole lines. Lines of information go to standard output, warnings and errors to standard error, all of them
/// to the log file too. On a terminal long lines are broken between words. A terminal's last line can hold a status (a
/// progress bar), which makes way for lines and comes back. May be called from several threads. A console that goes
/// away never stops a run; a log file that cannot be written any more is warned about once.
class Log {
 public:
  /// File descriptors of the console (others in tests); they stay open.
  explicit Log(int out = 1, int err = 2);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Appends to this file from now on: "2024-05-01T12:34:56+0200 text", each line of a text of several. Throws
  /// Error(kEnvironment).
  void open_file(const std::string& path);

  void info(const std::string& text);
  /// A line of figures: on a terminal those that fit (fitting_line); elsewhere, and in the log file, all of them.
  void figures(const std::vector<LinePart>& parts);
  void warning(const std::string& text);  ///< "warning: text"
  void error(const std::string& text);    ///< "error: text"
  /// Only into the log file.
  void note(const std::string& text);

  /// Standard error is a terminal that can redraw a line.
  bool terminal() const { return terminal_; }
  /// Columns of the terminal; 80 where it does not say.
  int width() const;
  /// Shows `text`, cut to the width, as the terminal's last line; "" removes it. Nothing happens without a terminal.
  void set_status(const std::string& text);

 private:
  void line(int fd, const std::string& text);
  void write(int fd, const std::string& shown, const std::string& kept);
  void file_lines(const std::string& text);
  void draw_status() const;
  void erase_status() const;

  std::mutex mutex_;
  int out_, err_;
  int file_ = -1;
  std::string path_, status_;
  bool terminal_;
  bool file_failed_ = false;
};

}  // namespace sluice
