#include "core/data/picture_list.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/descriptor.hpp"
#include "core/base/directory.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/signals.hpp"
#include "core/base/system_error.hpp"

namespace sluice {

namespace {

/// Ends of pictures' names, of forms that are read, and of those whose files are to be named as bad rather than passed
/// over.
const char* const kEndings[] = {".jpg", ".jpeg", ".jpe", ".jfif", ".png",  ".webp", ".bmp",  ".ppm", ".pgm", ".pnm",
                                ".pbm", ".gif",  ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd"};

[[noreturn]] void fail(const std::string& path, int error) {
  throw Error(ExitCode::kData, concat(path, ": cannot be read: ", system_reason(error, Access::kRead)));
}

std::vector<std::string> sorted_names(const std::string& folder) {
  std::error_code problem;
  std::vector<std::string> names = names_in(folder, problem);
  if (problem) fail(folder, problem.value());
  names.erase(std::remove_if(names.begin(), names.end(), [](const std::string& name) { return name[0] == '.'; }),
              names.end());
  std::sort(names.begin(), names.end());
  return names;
}

/// What lies at a path itself: of a link the link.
struct stat status_of(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) fail(path, errno);
  return status;
}

class Lister {
 public:
  explicit Lister(PictureList& list) : list_(list) {}

  /// `folder`: below the root, "" for it. Its files come before those of its folders.
  void list(const std::string& folder, std::int32_t label, int depth) {
    constexpr int kMostDepth = 64;
    throw_if_stopped();
    if (depth == kMostDepth)
      throw Error(ExitCode::kData, concat(list_.root, "/", folder, ": lies more than ", kMostDepth, " folders deep"));
    std::vector<std::string> folders;
    for (const std::string& name : sorted_names(list_.root + "/" + folder)) {
      const std::string path = folder.empty() ? name : folder + "/" + name;
      const struct stat status = status_of(list_.root + "/" + path);
      if (S_ISLNK(status.st_mode)) {
        ++list_.links;
      } else if (S_ISDIR(status.st_mode)) {
        folders.push_back(path);
      } else if (!S_ISREG(status.st_mode) || !is_picture_name(name)) {
        ++list_.others;
      } else {
        list_.files.push_back(path);
        list_.labels.push_back(label);
        list_.bytes.push_back(status.st_size);
      }
    }
    for (const std::string& each : folders) list(each, label, depth + 1);
  }

 private:
  PictureList& list_;
};

}  // namespace

bool is_picture_name(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string ending = name.substr(dot);
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](const char* known) { return ending == known; });
}

void PictureList::keep(const std::vector<bool>& kept) {
  std::size_t to = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!kept[i]) continue;
    if (to != i) files[to] = std::move(files[i]);
    labels[to] = labels[i];
    bytes[to] = bytes[i];
    ++to;
  }
  files.resize(to);
  labels.resize(to);
  bytes.resize(to);
}

std::vector<std::string> class_folders(const std::string& root) {
  std::vector<std::string> classes;
  for (const std::string& name : sorted_names(root)) {
    if (S_ISDIR(status_of(root + "/" + name).st_mode)) classes.push_back(name);
  }
  return classes;
}

PictureList list_pictures(const std::string& root, std::vector<std::string> classes) {
  PictureList list;
  list.root = root;
  list.classes = std::move(classes);
  const std::vector<std::string> there = class_folders(root);
  for (std::size_t label = 0; label < list.classes.size(); ++label) {
    if (std::binary_search(there.begin(), there.end(), list.classes[label]))
      Lister(list).list(list.classes[label], static_cast<std::int32_t>(label), 0);
  }
  return list;
}

PictureList list_pictures(const std::string& root) {
  PictureList list;
  list.root = root;
  Lister(list).list("", -1, 0);
  return list;
}

void read_picture_file(const std::string& path, std::int64_t max_pixels, std::string& bytes) {
  constexpr std::int64_t kMostBytesOfPixel = 4, kSmall = 1 << 20;
  const auto refuse = [](int error) {
    throw Error(ExitCode::kData, concat("cannot be read: ", system_reason(error, Access::kRead)));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) refuse(errno);
  const Descriptor file(fd, path);
  struct stat status;
  if (::fstat(fd, &status) != 0) refuse(errno);
  if (!S_ISREG(status.st_mode)) throw Error(ExitCode::kData, "expected a file, got something else");
  if (status.st_size > kSmall + kMostBytesOfPixel * max_pixels)
    throw Error(ExitCode::kData, concat("its ", status.st_size,
                                        " bytes are more than a picture of max_pixels = ", max_pixels, " needs"));
  bytes.resize(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(errno);
    if (got == 0) break;  // it was cut meanwhile: the decoder will say so
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
}

}  // namespace sluice
