#include "core/data/input_file.hpp"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/signals.hpp"
#include "core/base/system_error.hpp"
#include "core/base/text_stream.hpp"

namespace sluice {

namespace fs = std::filesystem;

struct InputFile::Stream {
  explicit Stream(gzFile opened) : file(opened) {}
  ~Stream() { gzclose(file); }
  gzFile file;
};

InputFile::InputFile(std::string path, std::string advice) : path_(std::move(path)), advice_(std::move(advice)) {
  std::error_code problem;
  const fs::file_status status = fs::status(path_, problem);
  if (status.type() == fs::file_type::not_found)
    throw Error(ExitCode::kData, concat(path_, ": no such file; ", advice_));
  if (status.type() != fs::file_type::none && !fs::is_regular_file(status)) {
    throw Error(ExitCode::kData, concat(path_, ": expected a file, got ",
                                        fs::is_directory(status) ? "a folder" : "something else", "; ", advice_));
  }
  size_on_disk_ = static_cast<std::int64_t>(fs::file_size(path_, problem));
  gzFile file = gzopen(path_.c_str(), "rb");
  if (file == nullptr) {
    const std::string reason = errno != 0 ? system_reason(errno, Access::kRead) : "out of memory";
    throw Error(ExitCode::kData, concat(path_, ": cannot be opened: ", reason));
  }
  stream_ = std::make_unique<Stream>(file);
  gzbuffer(file, 1 << 18);
}

InputFile::~InputFile() = default;

std::int64_t InputFile::read_some(void* to, std::int64_t bytes) {
  constexpr std::int64_t kMost = 4 << 20;  // a stop signal waits for no more
  throw_if_stopped();
  const int got = gzread(stream_->file, to, static_cast<unsigned>(std::min(bytes, kMost)));
  int code = Z_OK;
  const char* const text = gzerror(stream_->file, &code);
  if (code == Z_BUF_ERROR) fail(offset_ + std::max(got, 0), "the gzipped file is cut short");
  if (got < 0 || code != Z_OK) {
    std::string reason = code == Z_ERRNO ? system_reason(errno, Access::kRead) : text;
    if (reason.rfind(path_ + ": ", 0) == 0) reason.erase(0, path_.size() + 2);
    fail(offset_, concat("cannot be read on from here (", reason, ")"));
  }
  offset_ += got;
  return got;
}

void InputFile::read(void* to, std::int64_t bytes, std::int64_t total) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const std::int64_t got = read_some(at, bytes);
    if (got == 0) fail(offset_, concat("the file ends here, expected ", total, " bytes"));
    at += got;
    bytes -= got;
  }
}

bool InputFile::at_end() {
  char next = 0;
  if (read_some(&next, 1) == 0) return true;
  --offset_;
  gzungetc(next, stream_->file);
  return false;
}

bool InputFile::gzipped() const {
  return gzdirect(stream_->file) == 0;
}

std::int64_t InputFile::largest_size() const {
  constexpr std::int64_t kDeflateRatio = 1032;
  return gzipped() ? size_on_disk_ * kDeflateRatio : size_on_disk_;
}

void InputFile::fail(std::int64_t offset, const std::string& problem) const {
  throw Error(ExitCode::kData, concat(path_, ": byte ", offset, ": ", problem, "; ", advice_));
}

bool path_exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::vector<std::string> read_lines(const std::string& path) {
  TextReader file(read_file(path).value_or(""));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    const char* const spaces = " \t\r";
    const std::size_t begin = line.find_first_not_of(spaces);
    if (begin == std::string::npos) continue;
    lines.push_back(line.substr(begin, line.find_last_not_of(spaces) + 1 - begin));
  }
  return lines;
}

}  // namespace sluice
