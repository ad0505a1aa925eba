// Console and log file, on plain descriptors.
#include "core/train/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/system_error.hpp"
#include "core/base/terminal.hpp"
#include "core/base/wrap.hpp"

namespace sluice {
namespace {

/// Lines that the console does not take are lost, and hold nothing up for more than a second.
int show(int fd, std::string_view text) {
  constexpr int kPatienceMs = 1000;
  return write_fully(fd, text, kPatienceMs);
}

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z ", &parts)};
}

bool redraws(int fd) {
  const char* term = std::getenv("TERM");
  return is_terminal(fd) && (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace

Log::Log(int out, int err) : out_(out), err_(err), terminal_(redraws(err)) {}

Log::~Log() {
  set_status("");
  if (file_ >= 0) ::close(file_);
}

void Log::open_file(const std::string& path) {
  const std::lock_guard<std::mutex> guard(mutex_);
  const int file = open_regular(path, O_WRONLY | O_CREAT | O_APPEND);
  if (file_ >= 0) ::close(file_);
  file_ = file;
  path_ = path;
  file_failed_ = false;
}

void Log::info(const std::string& text) {
  line(out_, text);
}
void Log::warning(const std::string& text) {
  line(err_, "warning: " + text);
}
void Log::error(const std::string& text) {
  line(err_, "error: " + text);
}

void Log::note(const std::string& text) {
  const std::lock_guard<std::mutex> guard(mutex_);
  file_lines(printable(text));
}

void Log::figures(const std::vector<LinePart>& parts) {
  const auto line_of = [&](std::size_t room) { return printable(fitting_line(parts, room, ", ")); };
  const std::optional<int> width = is_terminal(out_) ? terminal_width(out_) : std::nullopt;
  const std::size_t room = width ? static_cast<std::size_t>(*width) : SIZE_MAX;
  write(out_, line_of(room), line_of(SIZE_MAX));
}

void Log::line(int fd, const std::string& raw) {
  const std::string text = printable(raw);
  write(fd, lines_for(fd, text), text);
}

/// What the console shows, and what the log file keeps.
void Log::write(int fd, const std::string& shown, const std::string& kept) {
  const std::lock_guard<std::mutex> guard(mutex_);
  erase_status();
  show(fd, shown + '\n');
  file_lines(kept);
  draw_status();
}

void Log::file_lines(const std::string& text) {
  if (file_ < 0) return;
  const std::string stamp = time_stamp();
  std::string lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines += stamp + text.substr(begin, end - begin) + '\n';
    begin = end + 1;
  }
  const int error = write_fully(file_, lines);
  if (error == 0 || file_failed_) return;
  file_failed_ = true;
  show(err_, concat("warning: ", path_, ": cannot write: ", system_reason(error, Access::kWrite),
                    "; the log file will miss lines\n"));
}

int Log::width() const {
  constexpr int kUsual = 80;
  return terminal_width(err_).value_or(kUsual);
}

void Log::set_status(const std::string& text) {
  if (!terminal_) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  if (text.empty()) erase_status();
  status_ = one_line(text);
  draw_status();
}

// The last column stays free: a full line makes some terminals wrap.
void Log::draw_status() const {
  if (status_.empty()) return;
  std::size_t end = 0;
  for (int room = width() - 1; room > 0 && end < status_.size(); --room) end += character_at(status_, end).bytes;
  show(err_, "\r" + status_.substr(0, end) + "\033[K");
}

void Log::erase_status() const {
  if (!status_.empty()) show(err_, "\r\033[K");
}

}  // namespace sluice
