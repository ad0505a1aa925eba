#include "core/base/file_content.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

namespace sluice {

namespace {

struct Signature {
  std::string_view begin;
  const char* name;
};

constexpr Signature kSignatures[] = {{"\x1f\x8b", "a gzipped file"},
                                     {"vers", "a pointer of Git LFS (git lfs pull fetches the file itself)"},
                                     {"\x89HDF", "an HDF5 file"},
                                     {"\x93NUM", "a NumPy file"},
                                     {"PK\x03\x04", "a zip archive"},
                                     {"\x89PNG", "a PNG picture"},
                                     {"\xff\xd8\xff", "a JPEG picture"},
                                     {"BZh", "a bzip2 file"},
                                     {"\xfd"
                                      "7zX",
                                      "an xz file"},
                                     {"\x28\xb5\x2f\xfd", "a zstd file"}};

bool is_text(std::string_view bytes) {
  for (const char c : bytes) {
    if ((c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t') return false;
  }
  return !bytes.empty();
}

}  // namespace

std::string name_content(const void* bytes, std::int64_t count) {
  const std::string_view begin(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
  for (const Signature& signature : kSignatures) {
    if (begin.substr(0, signature.begin.size()) == signature.begin) return signature.name;
  }
  if (!is_text(begin)) return "";
  const std::size_t first = begin.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && begin[first] == '<' ? "a web page" : "text";
}

std::string name_content_of(const std::string& path) {
  char bytes[4] = {};
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return "";
  const ssize_t count = ::read(file, bytes, sizeof bytes);
  ::close(file);
  return count < 0 ? "" : name_content(bytes, count);
}

}  // namespace sluice
