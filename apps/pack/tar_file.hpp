// Reads a tar file from its beginning to its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace sluice {

/// A regular file of an archive.
struct TarEntry {
  std::string path;  ///< without "./" and "/" at its beginning
  std::int64_t size = 0;
};

class TarFile {
 public:
  /// Throws Error(kData) where the file cannot be opened.
  explicit TarFile(std::string path);
  ~TarFile();
  TarFile(const TarFile&) = delete;
  TarFile& operator=(const TarFile&) = delete;

  /// The next regular file; links, folders and what else there is are passed over. False at the end. Throws
  /// Error(kData) where the archive is damaged.
  bool next(TarEntry& entry);
  /// All bytes of the file that next() gave.
  void read(const TarEntry& entry, std::string& bytes);

 private:
  [[noreturn]] void fail(const std::string& doing) const;

  std::string path_;
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

}  // namespace sluice
