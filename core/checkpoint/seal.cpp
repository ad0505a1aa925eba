// Writing and checking seals with plain POSIX reads: nothing of a damaged file reaches the HDF5 library.
#include "core/checkpoint/seal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/file_content.hpp"
#include "core/base/system_error.hpp"
#include "core/checkpoint/run_checkpoint.hpp"

namespace sluice {
namespace {

constexpr char kMagic[] = "SLUICES\n";
constexpr std::size_t kMagicBytes = 8, kCheckAt = 40, kCheckBytes = 8, kDigestAt = 24, kDigestBytes = 16;
using Trailer = std::array<unsigned char, static_cast<std::size_t>(kSealBytes)>;

void put(unsigned char* to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<unsigned char>(value >> (8 * i));
}

std::uint64_t get(const unsigned char* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | from[i];
  return value;
}

std::array<unsigned char, kCheckBytes> check_of(const Trailer& trailer) {
  Digest digest;
  digest.update(trailer.data(), static_cast<std::int64_t>(kCheckAt));
  std::array<unsigned char, kCheckBytes> check;
  const auto bytes = digest.bytes();
  std::copy(bytes.end() - kCheckBytes, bytes.end(), check.begin());
  return check;
}

bool check_fits(const Trailer& trailer) {
  const auto check = check_of(trailer);
  return std::equal(check.begin(), check.end(), trailer.begin() + kCheckAt);
}

std::string hex(const unsigned char* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

/// A file opened for reading; every failure is an Error(kCheckpoint).
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    if (fd_ < 0) fail(concat("cannot open: ", system_reason(errno, Access::kRead)));
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail(concat("cannot read: ", system_reason(errno, Access::kRead)));
    size_ = status.st_size;
    if (S_ISREG(status.st_mode)) return;
    ::close(fd_);
    fail(S_ISDIR(status.st_mode) ? "is a directory, expected a checkpoint file" + advice_on_directory(path_)
                                 : "is no regular file");
  }
  ~Reader() { ::close(fd_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::int64_t size() const { return size_; }
  /// Returns how many bytes there were.
  std::int64_t read(std::int64_t offset, void* bytes, std::int64_t count) const {
    std::int64_t done = 0;
    while (done < count) {
      const ssize_t n =
          ::pread(fd_, static_cast<char*>(bytes) + done, static_cast<std::size_t>(count - done), offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(concat("cannot read: ", system_reason(errno, Access::kRead)));
      if (n == 0) break;
      done += n;
    }
    return done;
  }
  [[noreturn]] void fail(const std::string& text) const {
    throw Error(ExitCode::kCheckpoint, concat(path_, ": ", text));
  }

 private:
  std::string path_;
  int fd_;
  std::int64_t size_ = 0;
};

constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kSignatureBytes = 8;

/// Behind a block of the user's (MATLAB writes one) an HDF5 file begins at 512 bytes, or twice, four times ... that.
bool begins_later(const Reader& file) {
  char found[kSignatureBytes] = {};
  for (std::int64_t at = 512; at < file.size(); at *= 2) {
    if (file.read(at, found, sizeof(found)) == sizeof(found) && std::memcmp(found, kSignature, sizeof(found)) == 0)
      return true;
  }
  return false;
}

/// The length that an HDF5 superblock at the file's beginning states; nothing where there is none that we know.
std::optional<std::int64_t> stated_length(const Reader& file) {
  unsigned char head[64] = {};
  const std::int64_t count = file.read(0, head, sizeof(head));
  if (count < 48 || std::memcmp(head, kSignature, kSignatureBytes) != 0) return std::nullopt;
  const unsigned version = head[8];
  const std::size_t size_of_offsets = version < 2 ? head[13] : head[9];
  if (version > 3 || size_of_offsets != 8) return std::nullopt;
  const std::size_t end_of_file[] = {40, 44, 28, 28};
  return static_cast<std::int64_t>(get(head + end_of_file[version], 8));
}

SealReport damaged(const std::string& text) {
  return {SealReport::State::kDamaged, text + "; take an older checkpoint or a copy"};
}

/// What a file without a seal at its end is.
SealReport explain_absence(const Reader& file, const std::string& path) {
  char found_first[kSignatureBytes] = {};
  if (file.size() == 0) return damaged(path + ": is empty (0 bytes)");
  file.read(0, found_first, sizeof(found_first));
  const bool at_once = std::memcmp(found_first, kSignature, sizeof(found_first)) == 0;
  if (!at_once && !begins_later(file)) {
    const std::string content = name_content(found_first, std::min<std::int64_t>(file.size(), 4));
    const bool tells = !content.empty() && content != "text" && content != "an HDF5 file";  // cut inside its signature
    const std::string found = tells ? concat(" (it is ", content, ")") : "";
    return {SealReport::State::kDamaged,
            concat(path, ": is no checkpoint: it does not begin with the signature of an HDF5 file", found)};
  }
  const std::optional<std::int64_t> stated = stated_length(file);
  if (at_once && !stated && file.size() < 96)
    return damaged(concat(path, ": is truncated: it ends after ", file.size(), " bytes, inside its header"));
  if (stated && *stated > file.size())
    return damaged(concat(path, ": is truncated: it ends after ", file.size(), " of ", *stated, " bytes"));
  unsigned char magic[kMagicBytes] = {};
  const std::int64_t found = stated ? file.read(*stated, magic, sizeof(magic)) : 0;
  const bool begins = found > 0 && std::memcmp(magic, kMagic, static_cast<std::size_t>(found)) == 0;
  if (begins && file.size() < *stated + kSealBytes)
    return damaged(
        concat(path, ": is truncated: ", *stated + kSealBytes - file.size(), " bytes of its seal are missing"));
  if (begins)
    return damaged(concat(path, ": ", file.size() - *stated - kSealBytes, " bytes were added behind its seal"));
  return {SealReport::State::kAbsent,
          path +
              ": carries no seal: its last bytes were cut off, or it was written by another program; "
              "`sluice-inspect` shows what is in it, `sluice-import` takes weights of other programs"};
}

/// Checks everything but the digest; fills `length` where that is still to be done.
SealReport check_trailer(const Reader& file, const std::string& path, const Trailer& trailer, std::int64_t& length) {
  const bool magic = std::memcmp(trailer.data(), kMagic, kMagicBytes) == 0;
  Trailer corrected = trailer;
  std::memcpy(corrected.data(), kMagic, kMagicBytes);
  if (!magic && !check_fits(corrected)) return explain_absence(file, path);
  if (!magic || !check_fits(trailer)) return damaged(path + ": is damaged: its seal (the last 48 bytes) was changed");
  const std::uint64_t version = get(trailer.data() + 8, 4);
  if (version != kSealVersion)
    return {SealReport::State::kDamaged, concat(path, ": its seal is of version ", version,
                                                ", this Sluice reads version ", kSealVersion, "; use a newer Sluice")};
  length = static_cast<std::int64_t>(get(trailer.data() + 16, 8));
  if (length != file.size() - kSealBytes)
    return damaged(
        concat(path, ": is damaged: its seal covers ", length, " bytes, ", file.size() - kSealBytes, " are there"));
  return {};
}

SealReport check(const std::string& path, std::vector<char>* contents) {
  const Reader file(path);
  Trailer trailer{};
  if (file.size() < kSealBytes) return explain_absence(file, path);
  file.read(file.size() - kSealBytes, trailer.data(), kSealBytes);
  std::int64_t length = 0;
  const SealReport report = check_trailer(file, path, trailer, length);
  if (report.state != SealReport::State::kIntact) return report;
  Digest digest;
  const std::int64_t kBlock = 1 << 20;
  std::vector<char> block(contents == nullptr ? static_cast<std::size_t>(std::min(kBlock, length)) : 0);
  if (contents != nullptr) contents->resize(static_cast<std::size_t>(length));
  for (std::int64_t offset = 0; offset < length; offset += kBlock) {
    const std::int64_t count = std::min(kBlock, length - offset);
    char* bytes = contents == nullptr ? block.data() : contents->data() + offset;
    if (file.read(offset, bytes, count) != count) file.fail("became shorter while it was read");
    digest.update(bytes, count);
  }
  const auto found = digest.bytes();
  if (std::equal(found.begin(), found.end(), trailer.begin() + kDigestAt)) return {};
  return damaged(concat(path, ": is damaged: the digest of its ", length, " bytes is ", digest.hex(),
                        ", its seal says ", hex(trailer.data() + kDigestAt, kDigestBytes)));
}

}  // namespace

void append_seal(std::vector<char>& bytes) {
  Trailer trailer{};
  std::memcpy(trailer.data(), kMagic, kMagicBytes);
  put(trailer.data() + 8, kSealVersion, 4);
  put(trailer.data() + 12, static_cast<std::uint64_t>(kSealBytes), 4);
  put(trailer.data() + 16, bytes.size(), 8);
  Digest digest;
  digest.update(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  const auto sum = digest.bytes();
  std::copy(sum.begin(), sum.end(), trailer.begin() + kDigestAt);
  const auto check = check_of(trailer);
  std::copy(check.begin(), check.end(), trailer.begin() + kCheckAt);
  bytes.insert(bytes.end(), trailer.begin(), trailer.end());
}

SealReport check_seal(const std::string& path) {
  return check(path, nullptr);
}

std::vector<char> read_sealed(const std::string& path) {
  std::vector<char> contents;
  try {
    const SealReport report = check(path, &contents);
    if (report.state != SealReport::State::kIntact) throw Error(ExitCode::kCheckpoint, report.text);
  } catch (const std::bad_alloc&) {
    throw Error(ExitCode::kEnvironment, path + ": does not fit into memory");
  }
  return contents;
}

}  // namespace sluice
