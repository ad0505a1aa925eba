#include "apps/pack/tar_file.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/data/input_file.hpp"

namespace sluice {

struct TarFile::Archive {
  Archive() : reader(archive_read_new()) {
    if (reader == nullptr) throw std::bad_alloc();
  }
  ~Archive() { archive_read_free(reader); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  struct archive* reader;
};

TarFile::TarFile(std::string path) : path_(std::move(path)), archive_(std::make_unique<Archive>()) {
  constexpr std::size_t kBlock = 1 << 18;
  struct archive* const reader = archive_->reader;
  archive_read_support_format_tar(reader);
  // Where the library lacks one it would call a program for it, and warns: such a file is then refused.
  using Support = int (*)(struct archive*);
  for (const Support support : {Support(archive_read_support_filter_gzip), Support(archive_read_support_filter_bzip2),
                                Support(archive_read_support_filter_xz), Support(archive_read_support_filter_zstd)}) {
    if (support(reader) != ARCHIVE_OK)
      throw Error(ExitCode::kEnvironment,
                  concat(path_, ": this build of libarchive lacks a decompressor: ", archive_error_string(reader)));
  }
  if (!path_exists(path_)) throw Error(ExitCode::kData, concat(path_, ": no such file"));
  if (archive_read_open_filename(reader, path_.c_str(), kBlock) != ARCHIVE_OK) fail("open");
}

TarFile::~TarFile() = default;

void TarFile::fail(const std::string& doing) const {
  const char* const reason = archive_error_string(archive_->reader);
  throw Error(ExitCode::kData, concat(path_, ": cannot ", doing,
                                      " as a tar file: ", one_line(reason == nullptr ? "no reason is given" : reason)));
}

bool TarFile::next(TarEntry& entry) {
  struct archive_entry* header = nullptr;
  while (true) {
    const int status = archive_read_next_header(archive_->reader, &header);
    if (status == ARCHIVE_EOF) return false;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail("read");
    if (archive_entry_filetype(header) != AE_IFREG || archive_entry_hardlink(header) != nullptr) continue;
    const char* const name = archive_entry_pathname(header);
    if (name == nullptr) continue;
    entry.path = name;
    while (entry.path.rfind("./", 0) == 0) entry.path.erase(0, 2);
    entry.path.erase(0, entry.path.find_first_not_of('/'));
    entry.size = archive_entry_size(header);
    return true;
  }
}

void TarFile::read(const TarEntry& entry, std::string& bytes) {
  bytes.resize(static_cast<std::size_t>(entry.size));
  const la_ssize_t got = archive_read_data(archive_->reader, bytes.data(), bytes.size());
  if (got < 0) fail(concat("read ", one_line(entry.path)));
  bytes.resize(static_cast<std::size_t>(got));
}

}  // namespace sluice
