// Reads a data file from its beginning to its end, plain or gzipped, with errors that name the file and the byte.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice {

class InputFile {
 public:
  /// Throws Error(kData) unless `path` is a readable file. `advice` ends each message: what to do about a missing or
  /// damaged file.
  InputFile(std::string path, std::string advice);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// Reads exactly `bytes`; throws Error(kData) where the file ends before. `total` is the size that the whole
  /// (unpacked) file should have.
  void read(void* to, std::int64_t bytes, std::int64_t total);
  /// Whether nothing is left (and, gzipped, the checksum is right).
  bool at_end();
  /// Bytes read so far, after unpacking.
  std::int64_t offset() const { return offset_; }
  /// No more than this many bytes can be in the file, after unpacking: a bound for sizes that a header claims.
  std::int64_t largest_size() const;
  bool gzipped() const;
  std::int64_t size_on_disk() const { return size_on_disk_; }
  /// Throws Error(kData) "path: byte offset: problem; advice".
  [[noreturn]] void fail(std::int64_t offset, const std::string& problem) const;

 private:
  struct Stream;
  std::int64_t read_some(void* to, std::int64_t bytes);

  std::string path_, advice_;
  std::unique_ptr<Stream> stream_;
  std::int64_t offset_ = 0;
  std::int64_t size_on_disk_ = 0;
};

/// Whether something of that name exists, or is a folder; false where the answer is not to be had.
bool path_exists(const std::string& path);
bool is_folder(const std::string& path);

/// The non-empty lines of a small text file, without surrounding spaces.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace sluice
